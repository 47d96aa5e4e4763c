"""Instance metadata, version 2, of one account's imagined instance."""
import datetime
import json

from moto.sts.models import sts_backends

REGION = "eu-central-1"
INSTANCE = "i-0123456789abcdef0"
INSTANCE_ROLE = "nss-iam-instance"


def credentials(account):
    role = sts_backends[account.number]["aws"].assume_role(REGION, INSTANCE, account.instance_role, None, 21600, None)
    now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    stamp = "%Y-%m-%dT%H:%M:%SZ"
    return {
        "Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": role.access_key_id,
        "SecretAccessKey": role.secret_access_key, "Token": role.session_token,
        "LastUpdated": now.strftime(stamp), "Expiration": (now + datetime.timedelta(hours=6)).strftime(stamp),
    }


def metadata(account, method, path, environ):
    """Status, headers and body of one instance metadata request."""
    if (method, path) == ("PUT", "/latest/api/token"):
        seconds = environ.get("HTTP_X_AWS_EC2_METADATA_TOKEN_TTL_SECONDS", "")
        if not seconds.isdigit():
            return "400 Bad Request", [], ""
        return "200 OK", [("x-aws-ec2-metadata-token-ttl-seconds", seconds)], f"token-{account.number}"
    if path == "/v2/credentials/task":  # as the agent of ECS, which has an address of its own and no tokens
        return "200 OK", [], json.dumps(credentials(account))
    if environ.get("HTTP_X_AWS_EC2_METADATA_TOKEN") != f"token-{account.number}":
        return "401 Unauthorized", [], ""
    role = f"/latest/meta-data/iam/security-credentials/{INSTANCE_ROLE}"
    if path == role and account.instance_role:
        return "200 OK", [], json.dumps(credentials(account))
    document = {"accountId": account.number, "instanceId": INSTANCE, "region": REGION, "version": "2017-09-30"}
    pages = {
        "/latest/meta-data/instance-id": INSTANCE,
        "/latest/meta-data/placement/region": REGION,
        "/latest/meta-data/placement/availability-zone": REGION + "a",
        "/latest/dynamic/instance-identity/document": json.dumps(document),
        **{f"/latest/meta-data/tags/instance/{key}": value for key, value in account.tags.items()},
    }
    if account.instance_role:
        pages["/latest/meta-data/iam/security-credentials"] = INSTANCE_ROLE
    if account.tags:  # without tags, or without permission for them, there is no such directory
        pages["/latest/meta-data/tags/instance"] = "\n".join(account.tags)
    found = pages.get(path.rstrip("/"))
    return ("404 Not Found", [], "") if found is None else ("200 OK", [], found)

"""Buckets of S3: moto's, made to behave more like AWS.

Where it differs from moto:
- Writes to one bucket happen one after the other: moto checks If-Match and If-None-Match, and then writes.
- A bucket that was told to (`conflicts`) answers the next conditional writes with 409 ConditionalRequestConflict, as AWS may while
  another write is in progress.
- A request that is signed for another region than the bucket's is AuthorizationHeaderMalformed.
- An unknown access key, and what a policy denies, are errors in S3's form. A policy counts for the object's ARN. An object
  that does not exist is denied unless the policy allows s3:ListBucket on the bucket.
Where it differs from AWS: an object is complete for readers as soon as it is written; there is no encryption with KMS, no request
is too fast, and a bucket belongs to one account only. Addresses are http://HOST/BUCKET/KEY.
"""
import fnmatch
import threading

from moto.iam import models as iam
from moto.s3.models import s3_backends

writing = threading.Lock()
conflicts = {}


class Refused(Exception):
    """Status, error code and message."""


def check(account, environ, scope, resources):
    """Raises Refused for what AWS refuses and moto would answer."""
    _, bucket, key = (environ["PATH_INFO"] + "//").split("/", 2)
    key = key.rstrip("/")
    if scope[0] not in iam.iam_backends[account.number]["aws"].access_keys:
        raise Refused("403 Forbidden", "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.")
    backend = s3_backends[account.number]["aws"]
    if account.enforced:
        arn = f"arn:aws:s3:::{bucket}"
        def is_allowed(action, arn):
            return any(fnmatch.fnmatchcase(arn, pattern) for pattern in resources.get(action, []))

        action = {"GET": "s3:GetObject", "PUT": "s3:PutObject"}.get(environ["REQUEST_METHOD"], "s3:Other")
        is_hidden = action == "s3:GetObject" and not is_allowed("s3:ListBucket", arn)
        is_missing = bucket in backend.buckets and key not in backend.buckets[bucket].keys
        if not is_allowed(action, f"{arn}/{key}") or is_hidden and is_missing:
            raise Refused("403 Forbidden", "AccessDenied", f"not authorized to perform: {action} on resource: \"{arn}/{key}\"")
    region = backend.buckets[bucket].region_name if bucket in backend.buckets else scope[2]
    if region != scope[2]:
        message = f"The authorization header is malformed; the region '{scope[2]}' is wrong; expecting '{region}'"
        raise Refused("400 Bad Request", "AuthorizationHeaderMalformed", message)
    is_conditional = "HTTP_IF_MATCH" in environ or "HTTP_IF_NONE_MATCH" in environ
    if environ["REQUEST_METHOD"] == "PUT" and is_conditional and conflicts.get(bucket, 0) > 0:
        conflicts[bucket] -= 1
        message = "The conditional request cannot succeed due to a conflicting operation against this resource."
        raise Refused("409 Conflict", "ConditionalRequestConflict", message)


def answer(account, environ, start_response, scope, resources, moto):
    """A request to S3."""
    with writing:
        try:
            check(account, environ, scope, resources)
            return moto(environ, start_response)
        except Refused as refused:
            status, code, message = refused.args
            text = f"<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
            start_response(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(text)))])
            return [text]


# What tests may ask for --------------------------------------------------------------------------------------


def backend_of(account):
    return s3_backends[account.number]["aws"]


def seed(account, region, wish):
    """{name, region}"""
    backend_of(account).create_bucket(wish["name"], wish.get("region", region))


def read(backend, wish):
    found = backend.get_object(wish["bucket"], wish["key"])
    return found and {"etag": found.etag, "content": found.value.decode()}


def write(backend, wish):
    return backend.put_object(wish["bucket"], wish["key"], wish["content"].encode()).etag


def delete(backend, wish):
    backend.delete_object(wish["bucket"], wish["key"])


def remove_bucket(backend, wish):
    bucket = backend.buckets[wish["bucket"]]
    for key in list(bucket.keys):
        backend.delete_object(wish["bucket"], key)
    backend.delete_bucket(wish["bucket"])


CHANGES = {
    "read": read,  # key; answers etag and content, or null
    "write": write,  # key, content
    "delete": delete,  # key
    "remove_bucket": remove_bucket,
    "conflicts": lambda _, wish: conflicts.update({wish["bucket"]: wish["times"]}),
}


def change(account, wish):
    """{bucket, what, ...}, see CHANGES."""
    with writing:
        return CHANGES[wish["what"]](backend_of(account), wish)

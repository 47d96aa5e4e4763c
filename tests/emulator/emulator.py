"""An IAM, STS, S3, identity store and instance metadata server, on loopback unless told otherwise: moto's, made to behave more like AWS.

    emulator.py [--host ADDRESS] [--port N] [--page-size N] [--tls DIR]

It prints one line, {"port": N}, when it accepts connections, and leaves when its stdin closes, so that nothing is
left behind whatever happens to the test that started it. With --tls it listens on a second port besides, for https,
writes certificates into DIR, and prints {"port": N, "tls_port": M, "ca": FILE}.

Where it differs from moto, and from what AWS does if it still differs:
- Lists come in pages: GetAccountAuthorizationDetails, GetGroup, ListUsers, ListGroups, ListGroupsForUser, ListSSHPublicKeys and ListUserTags obey
  MaxItems and Marker, and cut at --page-size (100, as AWS's default) or the account's own `page_size`. With `sparse_pages`,
  every other page is empty, and more follow, as AWS's API reference allows.
- GetGroup and ListUsers answer without tags, as documented by AWS.
- Ids begin with AIDA (users) and AGPA (groups); moto's are lower-case.
- An unknown access key is refused (InvalidClientTokenId); moto takes it for account 123456789012.
- AssumeRole of a role that does not exist, spelled exactly, or whose trust policy asks for another
  sts:ExternalId, is AccessDenied. Of a trust policy nothing but that condition is looked at.
- Denials have the form <ErrorResponse><Error>, which SDKs can read; moto wraps one element more around it.
- Policies are enforced per account, after `enforce`. Resources count for iam:GetGroup and for identity stores; others are "*".
- The change `rename_user` keeps the tags, as AWS's UpdateUser does; moto's own UpdateUser loses them. The change
  `delete_user` leaves the groups first; moto's DeleteUser forgets to, AWS's refuses while there are any.
- SSH keys are answered as they were uploaded, whatever the Encoding asked for; any key type is taken (AWS: RSA only).
- Identity stores: see stores.py. S3: see buckets.py. CloudFormation: see stacks.py.
- Instance metadata is per account, below /_imds/ACCOUNT, version 2 only (no token: 401), with the token's
  lifetime header, the identity document, instance tags, and credentials of the account's instance role.

For tests, JSON in and out; `account` is twelve digits, anything missing has a default:
  POST /_emulator/seed     {account, users: [{name, id, created, keys, tags}], groups: {name: [member]},
                            roles: [{name, external_id}], instance_tags: {}, page_size, sparse_pages, stores, buckets}; keys: a
                            number of made-up keys, or [{body, status}]; stores and buckets: lists, see stores.py and
                            buckets.py. May be called again to add. Answers ids, keys, role ARNs.
  POST /_emulator/change   {account, changes: [{do: ...}]}, see CHANGES
  POST /_emulator/enforce  {account, role, policy}: the role (default: the instance role) may do what policy
                            (default: config/iam-policy.json) says, and the instance role may assume it
  GET  /_emulator/calls?account=A   [{account, service, action, params, from, status}]: the address of the client and the
                            HTTP status of the answer, which a call has once it is answered; DELETE forgets them
"""
import argparse
import base64
import datetime
import fnmatch
import hashlib
import io
import json
import random
import string
import struct
import sys
import threading
from pathlib import Path
from urllib.parse import parse_qs, parse_qsl

from moto import settings
from moto.core.authorization import ActionAuthenticatorMixin
from moto.core.exceptions import AccessDeniedError, InvalidClientTokenIdError, _RESTError
from moto.core.responses import ActionResult
from moto.iam import models as iam
from moto.iam.responses import IamResponse
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from moto.sts.responses import TokenResponse
from werkzeug.serving import make_server

import buckets
import certificates
import stacks
import stores
from metadata import INSTANCE_ROLE, REGION, metadata

POLICY = Path(__file__).parents[2] / "config" / "iam-policy.json"


class Account:
    """What moto does not know about an account."""

    known = {}
    lock = threading.Lock()

    page_size = 100
    sparse_pages = False

    def __init__(self, number):
        self.number = number
        self.iam = iam.iam_backends[number]["aws"]
        self.calls = []
        self.enforced = False
        self.resources = {}  # action: patterns
        self.tags = {}
        self.instance_role = add_role(self.iam, {"name": INSTANCE_ROLE})
        allow(self.iam, INSTANCE_ROLE, ["*"])

    @classmethod
    def get(cls, number):
        if not (len(number) == 12 and number.isdigit()):
            raise ValueError(f"account '{number}' is not twelve digits")
        with cls.lock:
            if number not in cls.known:
                cls.known[number] = cls(number)
            return cls.known[number]


# moto made closer to AWS -------------------------------------------------------------------------------------


def give_ids(cls, prefix):
    init = cls.__init__

    def __init__(self, *args, **kwargs):
        init(self, *args, **kwargs)
        self.id = prefix + "".join(random.choices(string.ascii_uppercase + string.digits[2:8], k=17))

    cls.__init__ = __init__


def paged(name, key, items, shown=lambda item: item, more=lambda self: {}):
    """Replaces IamResponse's method `name` by one that answers a page of `items` under `key`."""

    def answer(self):
        everything = list(items(self))
        account = Account.known.get(self.current_account) or Account
        size, marker = account.page_size, self._get_param("Marker") or "0"
        if account.sparse_pages and not marker.endswith("+"):
            return ActionResult({key: [], "IsTruncated": True, "Marker": marker + "+", **more(self)})
        begin = int(marker.rstrip("+"))
        end = begin + min(int(self._get_param("MaxItems") or size), size)
        result = {key: [shown(item) for item in everything[begin:end]], "IsTruncated": end < len(everything)}
        if end < len(everything):
            result["Marker"] = str(end)
        return ActionResult({**result, **more(self)})

    setattr(IamResponse, name, answer)


def account_details(self):
    """A page of groups and users; moto answers all at once, whatever MaxItems says."""
    wanted = self._get_param("Filter", []) or ["User", "Group"]
    everything = []
    if "Group" in wanted:
        everything += [("GroupDetailList", {"Path": g.path, "GroupName": g.name, "GroupId": g.id, "Arn": g.arn,
                                            "CreateDate": g.create_date}) for g in self.backend.list_groups()]
    if "User" in wanted:
        everything += [("UserDetailList", {**user_without_tags(u), "GroupList": u.group_list, "Tags": u.tags or []})
                       for u in self.backend.list_users(None, None, None)]
    account = Account.known.get(self.current_account) or Account
    size, marker = account.page_size, self._get_param("Marker") or "0"
    if account.sparse_pages and not marker.endswith("+"):
        return ActionResult({"IsTruncated": True, "Marker": marker + "+"})
    begin = int(marker.rstrip("+"))
    end = begin + min(int(self._get_param("MaxItems") or size), size)
    result = {"IsTruncated": end < len(everything)}
    for key, row in everything[begin:end]:
        result.setdefault(key, []).append(row)
    if end < len(everything):
        result["Marker"] = str(end)
    return ActionResult(result)


def user_without_tags(user):
    return {"Path": user.path, "UserName": user.name, "UserId": user.id, "Arn": user.arn, "CreateDate": user.create_date}


def improve_lists():
    def group(self):
        return self.backend.get_group(self._get_param("GroupName"))

    def user(self):
        return self.backend.get_user(self._get_param("UserName"))

    paged("get_group", "Users", lambda s: group(s).users, user_without_tags, lambda s: {"Group": group(s)})
    IamResponse.get_account_authorization_details = account_details
    paged("list_groups", "Groups", lambda s: s.backend.list_groups())
    paged("list_groups_for_user", "Groups", lambda s: s.backend.get_groups_for_user(user(s).name))
    paged("list_ssh_public_keys", "SSHPublicKeys", lambda s: user(s).ssh_public_keys)
    paged("list_user_tags", "Tags", lambda s: s.backend.list_user_tags(user(s).name))
    paged("list_users", "Users",
          lambda s: s.backend.list_users(s._get_param("PathPrefix"), None, None), user_without_tags)


def improve_access():
    moto_checks = ActionAuthenticatorMixin._authenticate_and_authorize_action
    settings.INITIAL_NO_AUTH_ACTION_COUNT = 0

    def check(self, iam_request, resource="*"):
        try:
            account = iam.iam_backends[self.current_account]["aws"]
            if self.get_access_key() not in account.access_keys:
                raise InvalidClientTokenIdError()
            known = Account.known.get(self.current_account)
            if known and known.enforced:
                moto_checks(self, iam_request, resource)
                check_resources(known, self)
            if isinstance(self, TokenResponse) and self._get_action() == "AssumeRole":
                check_assume(self, self.querystring["RoleArn"][0], self.querystring.get("ExternalId", [None])[0])
        except _RESTError as error:
            form = stores.error_json if stores.is_asked(self) else error_xml
            error.description = form(error.error_type, error.message)
            raise

    ActionAuthenticatorMixin._authenticate_and_authorize_action = check


def check_resources(account, response):
    """AWS denies what the policy does not name, whether it exists or not."""
    action, arns = f"iam:{response._get_action()}", []
    if stores.is_asked(response):
        action, arns = stores.needed(response, account.number)
    elif action == "iam:GetGroup":
        arns = [f"arn:aws:iam::{account.number}:group/{response._get_param('GroupName')}"]
    for arn in arns:
        if not any(fnmatch.fnmatchcase(arn, pattern) for pattern in account.resources.get(action, ["*"])):
            caller = f"arn:aws:sts::{account.number}:assumed-role/{INSTANCE_ROLE}/emulator"
            raise AccessDeniedError(caller, f"{action} on resource: {arn}")


def check_assume(self, arn, external_id):
    parts = arn.split(":")
    roles = iam.iam_backends[parts[4]]["aws"].get_roles() if len(parts) == 6 and parts[4] else []
    role = next((role for role in roles if role.arn == arn), None)
    statements = json.loads(role.assume_role_policy_document)["Statement"] if role else []
    wanted = [s["Condition"]["StringEquals"]["sts:ExternalId"] for s in statements if "Condition" in s]
    if role is None or any(want != external_id for want in wanted):
        _, caller, _ = self.backend.get_caller_identity(self.get_access_key(), self.region)
        raise AccessDeniedError(caller, f"sts:AssumeRole on resource: {arn}")


def error_xml(code, message):
    message = message.replace("&", "&amp;").replace("<", "&lt;")
    error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
    return f"<ErrorResponse>{error}<RequestId>emulator</RequestId></ErrorResponse>"


# What tests may ask for --------------------------------------------------------------------------------------


def allow(backend, role, actions):
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]}
    backend.put_role_policy(role, "emulator", json.dumps(policy))


def add_role(backend, role):
    statement = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    if "external_id" in role:
        statement["Condition"] = {"StringEquals": {"sts:ExternalId": role["external_id"]}}
    trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    return backend.create_role(role["name"], trust, "/", None, "", [], "3600").arn


def made_up_key(account, user, number):
    """An RSA key that nobody has the other half of: the same for the same arguments."""
    seed = f"{account}/{user}/{number}".encode()
    modulus = b"".join(hashlib.sha256(seed + bytes([n])).digest() for n in range(8))
    modulus = b"\0" + bytes([modulus[0] | 0x80]) + modulus[1:-1] + bytes([modulus[-1] | 1])
    blob = b"".join(struct.pack(">I", len(part)) + part for part in (b"ssh-rsa", b"\1\0\1", modulus))
    return {"body": f"ssh-rsa {base64.b64encode(blob).decode()}"}


def add_key(account, user, key):
    new = account.iam.upload_ssh_public_key(user, key["body"])
    new.status = key.get("status", "Active")
    return {"id": new.ssh_public_key_id, "body": key["body"]}


def add_user(account, user):
    name, keys = user["name"], user.get("keys", [])
    tags = [{"Key": key, "Value": value} for key, value in user.get("tags", {}).items()]
    new = account.iam.create_user(REGION, name, user.get("path", "/"), tags)
    new.id = user.get("id", new.id)
    if "created" in user:
        created = datetime.datetime.fromisoformat(user["created"].replace("Z", "+00:00"))
        new.create_date = created.astimezone(datetime.timezone.utc).replace(tzinfo=None)
    if isinstance(keys, int):
        keys = [made_up_key(account.number, name, number) for number in range(keys)]
    return {"id": new.id, "keys": [add_key(account, name, key) for key in keys]}


def seed(account, wish):
    groups = {}
    users = {user["name"]: add_user(account, user) for user in wish.get("users", [])}
    for name, members in wish.get("groups", {}).items():
        group = account.iam.groups.get(name) or account.iam.create_group(name)
        group.users = list(dict.fromkeys(group.users + [account.iam.get_user(member) for member in members]))
        groups[name] = group.id
    roles = {role["name"]: add_role(account.iam, role) for role in wish.get("roles", [])}
    account.tags.update(wish.get("instance_tags", {}))
    account.page_size = wish.get("page_size", account.page_size)
    account.sparse_pages = wish.get("sparse_pages", account.sparse_pages)
    seeded = {store["id"]: stores.seed(account, REGION, store) for store in wish.get("stores", [])}
    for bucket in wish.get("buckets", []):
        buckets.seed(account, REGION, bucket)
    roles = {INSTANCE_ROLE: account.instance_role, **roles}
    return {"users": users, "groups": groups, "roles": roles, "stores": seeded}


def delete_user(account, change):
    user = account.iam.get_user(change["user"])
    for group in account.iam.get_groups_for_user(user.name):
        group.users.remove(user)
    account.iam.delete_user(user.name)


def rename_user(account, change):
    tags = account.iam.list_user_tags(change["user"])
    account.iam.tagger.delete_all_tags_for_resource(account.iam.get_user(change["user"]).arn)
    account.iam.update_user(change["user"], None, change["name"])
    account.iam.tag_user(change["name"], tags)


CHANGES = {
    "add_user": add_user,  # the fields of seed's users
    "delete_user": delete_user,  # user
    "rename_user": rename_user,  # user, name
    "add_member": lambda a, c: a.iam.add_user_to_group(c["group"], c["user"]),
    "remove_member": lambda a, c: a.iam.remove_user_from_group(c["group"], c["user"]),
    "empty_group": lambda a, c: a.iam.get_group(c["group"]).users.clear(),
    "rename_group": lambda a, c: a.iam.update_group(c["group"], c["name"], None),
    "delete_group": lambda a, c: a.iam.delete_group(c["group"]),
    "add_key": lambda a, c: add_key(a, c["user"], c),  # user, body, status
    "set_key_status": lambda a, c: a.iam.update_ssh_public_key(c["user"], c["key"], c["status"]),
    "delete_key": lambda a, c: a.iam.delete_ssh_public_key(c["user"], c["key"]),
    "set_tag": lambda a, c: a.iam.tag_user(c["user"], [{"Key": c["key"], "Value": c["value"]}]),
    "remove_tag": lambda a, c: a.iam.untag_user(c["user"], [c["key"]]),
    "detach_instance_role": lambda a, c: setattr(a, "instance_role", None),
    "bucket": buckets.change,  # bucket, what, ...; see buckets.py
    "store": lambda a, c: stores.change(a, REGION, c),  # store, what, ...; see stores.py
    "stack": lambda a, c: stacks.create(a, REGION, c),  # name, template, parameters; see stacks.py
    "network": lambda a, c: stacks.network(a, REGION),
    "set_page_size": lambda a, c: setattr(a, "page_size", c["size"]),
}


def enforce(account, wish):
    role = wish.get("role", INSTANCE_ROLE)
    policy = wish.get("policy") or json.loads(POLICY.read_text())
    named = {}
    for statement in policy["Statement"]:
        actions, resources = ([x] if isinstance(x, str) else x for x in (statement["Action"], statement["Resource"]))
        for action in actions:
            named.setdefault(action, []).extend(resources)
        statement["Resource"] = "*"
    account.resources.update(named)
    account.iam.put_role_policy(role, "emulator", json.dumps(policy))
    if role != INSTANCE_ROLE:
        allow(account.iam, INSTANCE_ROLE, ["sts:AssumeRole"])
    account.enforced = True
    return policy


def control(method, name, query, body):
    wish = json.loads(body or b"{}")
    account = Account.get(wish.get("account") or query.get("account", [""])[0])
    if (method, name) == ("POST", "seed"):
        return seed(account, wish)
    if (method, name) == ("POST", "change"):
        return [CHANGES[change["do"]](account, change) for change in wish["changes"]]
    if (method, name) == ("POST", "enforce"):
        return enforce(account, wish)
    if name == "calls" and method == "DELETE":
        account.calls.clear()
    if name == "calls":
        return account.calls
    raise ValueError(f"no {method} '{name}'")


# The server --------------------------------------------------------------------------------------------------


CONDITIONS = ("If-Match", "If-None-Match")


def record(environ, body):
    """Notes the call. Its account, and the scope of its signature: access key, day, region, service."""
    scope = environ.get("HTTP_AUTHORIZATION", "").partition("Credential=")[2].partition(",")[0].split("/")
    if len(scope) == 5:
        if scope[3] == "s3":
            action, values = environ["REQUEST_METHOD"], [environ.get("HTTP_" + c.upper().replace("-", "_")) for c in CONDITIONS]
            params = {"path": environ["PATH_INFO"], **{c: v for c, v in zip(CONDITIONS, values) if v}}
        elif target := environ.get("HTTP_X_AMZ_TARGET"):
            action, params = target.rpartition(".")[2], json.loads(body)
        else:
            params = dict(parse_qsl(body.decode("utf-8", "replace")))
            action = params.pop("Action", f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}")
            params.pop("Version", None)
        number = iam.get_account_id_from(scope[0])
        call = {"account": number, "service": scope[3], "action": action, "params": params, "from": environ["REMOTE_ADDR"]}
        Account.get(number).calls.append(call)
        return Account.get(number), scope, call
    return None, scope, {}


def noting(call, start_response):
    """Notes the status of the answer."""
    def start(status, *more):
        call["status"] = int(status.split()[0])
        return start_response(status, *more)

    return start


class Emulator:
    """The WSGI application: the tests' requests and instance metadata here, all others to moto."""

    def __init__(self):
        self.moto = DomainDispatcherApplication(create_backend_app)

    def __call__(self, environ, start_response):
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        _, place, *rest = path.split("/", 3) + [""]
        if place not in ("_emulator", "_imds"):
            account, scope, call = record(environ, body)
            environ["wsgi.input"] = io.BytesIO(body)
            start_response = noting(call, start_response)
            if account and scope[3] == "s3":
                return buckets.answer(account, environ, start_response, scope, account.resources, self.moto)
            return self.moto(environ, start_response)
        try:
            if place == "_imds":
                status, headers, text = metadata(Account.get(rest[0]), method, "/" + rest[1], environ)
            else:
                answer = control(method, rest[0], parse_qs(environ["QUERY_STRING"]), body)
                status, headers, text = "200 OK", [], json.dumps(answer)
        except Exception as error:  # whatever a test got wrong, it is told
            status, headers, text = "400 Bad Request", [], f"{type(error).__name__}: {error}"
        text = text.encode()
        start_response(status, headers + [("Content-Length", str(len(text)))])
        return [text]


class Handler(MotoRequestHandler):
    disable_nagle_algorithm = True  # a head and a body in two packets would wait for each other's acknowledgement

    def log_request(self, *_):
        pass


def listen(application, host, port, tls=None):
    return make_server(host, port, application, threaded=True, request_handler=Handler, ssl_context=tls)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--page-size", type=int, default=Account.page_size)
    parser.add_argument("--tls", type=Path)
    arguments = parser.parse_args()
    Account.page_size = arguments.page_size
    give_ids(iam.User, "AIDA")
    give_ids(iam.Group, "AGPA")
    improve_lists()
    improve_access()
    stores.improve(lambda number: (Account.known.get(number) or Account).page_size)
    application = Emulator()
    servers = [listen(application, arguments.host, arguments.port)]
    ready = {"port": servers[0].port}
    if arguments.tls:
        ready["ca"], *certificate = map(str, certificates.make(arguments.tls))
        servers.append(listen(application, arguments.host, 0, tuple(certificate)))
        ready["tls_port"] = servers[1].port
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    print(json.dumps(ready), flush=True)
    while sys.stdin.buffer.read(4096):
        pass


if __name__ == "__main__":
    main()

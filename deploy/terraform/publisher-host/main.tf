# The publisher of a fleet of nss-iam hosts, on a small instance that is replaced if it fails.

terraform {
  required_version = ">= 1.3"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 4.0"
    }
  }
}

variable "publisher_policy" {
  description = "The output publisher_policy of bucket"
  type        = string
}

variable "url" {
  description = "The output url of bucket"
  type        = string
}

variable "fleet" {
  description = "The name of the fleet, which its hosts have as fleet in [source]"
  type        = string
}

variable "groups" {
  description = "The IAM groups whose members are published"
  type        = list(string)
  default     = ["JumpHostAccess"]
}

variable "key" {
  description = "ARN of the secret in Secrets Manager that has the private key"
  type        = string
}

variable "former_keys" {
  description = "While the key is changed, the former public key"
  type        = list(string)
  default     = []
}

variable "vpc" {
  description = "The VPC of the subnets"
  type        = string
}

variable "subnets" {
  description = "Subnets with a way to IAM, STS, S3 and Secrets Manager"
  type        = list(string)
}

variable "package" {
  description = "What dnf installs: nss-iam, from a repository of the image, or an https URL of the .rpm, whose signature dnf does not check"
  type        = string
  default     = "nss-iam"
}

variable "instance_type" {
  description = "The type of the instance"
  type        = string
  default     = "t4g.nano"
}

variable "image" {
  description = "Amazon Linux 2023, for the architecture of the instance type: a public parameter of Systems Manager"
  type        = string
  default     = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"
}

data "aws_partition" "current" {}

data "aws_ssm_parameter" "image" {
  name = var.image
}

locals {
  # That of the secret: the attribute of aws_region has another name from version 6 of the provider on.
  region = split(":", var.key)[3]
}

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["ec2.${data.aws_partition.current.dns_suffix}"]
    }
  }
}

data "aws_iam_policy_document" "key" {
  statement {
    sid       = "ReadSigningKey"
    actions   = ["secretsmanager:GetSecretValue"]
    resources = [var.key]
  }
}

resource "aws_iam_role" "publisher" {
  name_prefix        = "nss-iam-publisher-"
  description        = "Role of the publisher of nss-iam listings"
  assume_role_policy = data.aws_iam_policy_document.trust.json
}

resource "aws_iam_role_policy_attachment" "publisher" {
  role       = aws_iam_role.publisher.name
  policy_arn = var.publisher_policy
}

resource "aws_iam_role_policy" "key" {
  name   = "key"
  role   = aws_iam_role.publisher.id
  policy = data.aws_iam_policy_document.key.json
}

resource "aws_iam_instance_profile" "publisher" {
  name_prefix = "nss-iam-publisher-"
  role        = aws_iam_role.publisher.name
}

resource "aws_security_group" "publisher" {
  name_prefix = "nss-iam-publisher-"
  description = "The publisher of nss-iam listings, which nobody connects to"
  vpc_id      = var.vpc

  egress {
    description = "Endpoints of AWS, and the repository of packages"
    protocol    = "tcp"
    from_port   = 443
    to_port     = 443
    cidr_blocks = ["0.0.0.0/0"]
  }
}

resource "aws_launch_template" "publisher" {
  name_prefix            = "nss-iam-publisher-"
  image_id               = data.aws_ssm_parameter.image.value
  instance_type          = var.instance_type
  vpc_security_group_ids = [aws_security_group.publisher.id]

  iam_instance_profile {
    arn = aws_iam_instance_profile.publisher.arn
  }

  metadata_options {
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  block_device_mappings {
    device_name = "/dev/xvda"
    ebs {
      encrypted   = true
      volume_type = "gp3"
      volume_size = 8
    }
  }

  # The key is read at boot, so that it is in no image, in no user data and in no state of Terraform.
  user_data = base64encode(<<-SCRIPT
    #!/bin/bash
    set -eu
    until dnf install --assumeyes '${var.package}'; do sleep 10; done
    cat >/etc/nss-iam/config.d/20-publish.toml <<'END'
    groups = ${jsonencode(var.groups)}
    [aws]
    region = "${local.region}"
    [refresh]
    keys_every = "15m"
    [publish]
    url = "${var.url}"
    fleet = "${var.fleet}"
    key = "/etc/nss-iam/publish.key"
    trusted_keys = ${jsonencode(var.former_keys)}
    END
    (
        umask 077
        until aws secretsmanager get-secret-value --region '${local.region}' --secret-id '${var.key}' \
            --query SecretString --output text >/etc/nss-iam/publish.key; do sleep 10; done
    )
    systemctl enable --now nss-iam-publish.service
  SCRIPT
  )
}

resource "aws_autoscaling_group" "publisher" {
  name_prefix         = "nss-iam-publisher-"
  min_size            = 1
  max_size            = 2
  desired_capacity    = 1
  vpc_zone_identifier = var.subnets

  launch_template {
    id      = aws_launch_template.publisher.id
    version = aws_launch_template.publisher.latest_version
  }

  instance_refresh {
    strategy = "Rolling"
  }

  tag {
    key                 = "Name"
    value               = "nss-iam publisher of ${var.fleet}"
    propagate_at_launch = true
  }
}

output "role" {
  description = "The role of the publisher, which roles in other AWS accounts have to trust"
  value       = aws_iam_role.publisher.arn
}

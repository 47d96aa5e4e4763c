# The bucket of a fleet of nss-iam hosts, and the policies of the publisher that writes its listing and of the hosts that read it.

terraform {
  required_version = ">= 1.3"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 4.0"
    }
  }
}

variable "bucket" {
  description = "The bucket, as in s3://BUCKET/KEY of the configurations"
  type        = string
}

variable "listing_key" {
  description = "The object in the bucket that has the listing; one for each fleet"
  type        = string
  default     = "jump-hosts"
}

variable "groups" {
  description = "The IAM groups that the publisher reads"
  type        = list(string)
  default     = ["JumpHostAccess"]
}

variable "other_readers" {
  description = "ARNs of roles or accounts that read the listing from other AWS accounts"
  type        = list(string)
  default     = []
}

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}

locals {
  iam    = "arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}"
  bucket = "arn:${data.aws_partition.current.partition}:s3:::${var.bucket}"
  object = "${local.bucket}/${var.listing_key}"
}

# It has the ids of everybody, also of those who left.
resource "aws_s3_bucket" "fleet" {
  bucket = var.bucket

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_versioning" "fleet" {
  bucket = aws_s3_bucket.fleet.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_public_access_block" "fleet" {
  bucket                  = aws_s3_bucket.fleet.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "fleet" {
  bucket = aws_s3_bucket.fleet.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "fleet" {
  bucket = aws_s3_bucket.fleet.id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "fleet" {
  # Without versions, its rule would mean nothing.
  depends_on = [aws_s3_bucket_versioning.fleet]

  bucket = aws_s3_bucket.fleet.id

  rule {
    id     = "old-versions"
    status = "Enabled"

    filter {}

    noncurrent_version_expiration {
      noncurrent_days = 90
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }
}

data "aws_iam_policy_document" "bucket" {
  statement {
    sid       = "OnlyWithTLS"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [local.bucket, "${local.bucket}/*"]
    principals {
      type        = "*"
      identifiers = ["*"]
    }
    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
  dynamic "statement" {
    for_each = length(var.other_readers) == 0 ? [] : [var.other_readers]
    content {
      sid       = "ReadListing"
      actions   = ["s3:GetObject"]
      resources = [local.object]
      principals {
        type        = "AWS"
        identifiers = statement.value
      }
    }
  }
}

resource "aws_s3_bucket_policy" "fleet" {
  # S3 refuses two changes of a bucket at once.
  depends_on = [aws_s3_bucket_public_access_block.fleet]

  bucket = aws_s3_bucket.fleet.id
  policy = data.aws_iam_policy_document.bucket.json
}

# What 'nss-iamctl policy' prints on a host with the source s3://BUCKET/KEY.
data "aws_iam_policy_document" "host" {
  statement {
    sid       = "ReadListing"
    actions   = ["s3:GetObject"]
    resources = [local.object]
  }
}

# What it prints on a publisher whose source is IAM.
data "aws_iam_policy_document" "publisher" {
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
  statement {
    sid       = "PublishListing"
    actions   = ["s3:GetObject", "s3:PutObject"]
    resources = [local.object]
  }
  statement {
    sid       = "SeeWhetherListingExists"
    actions   = ["s3:ListBucket"]
    resources = [local.bucket]
  }
}

resource "aws_iam_policy" "host" {
  name_prefix = "nss-iam-host-"
  description = "Hosts read the listing of their fleet"
  policy      = data.aws_iam_policy_document.host.json
}

resource "aws_iam_policy" "publisher" {
  name_prefix = "nss-iam-publisher-"
  description = "The publisher reads members, SSH keys and tags of IAM groups, and writes the listing"
  policy      = data.aws_iam_policy_document.publisher.json
}

data "aws_iam_policy_document" "host_trust" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["ec2.${data.aws_partition.current.dns_suffix}"]
    }
  }
}

resource "aws_iam_role" "host" {
  name_prefix        = "nss-iam-host-"
  description        = "Role of hosts that read the listing of their fleet"
  assume_role_policy = data.aws_iam_policy_document.host_trust.json
}

resource "aws_iam_role_policy_attachment" "host" {
  role       = aws_iam_role.host.name
  policy_arn = aws_iam_policy.host.arn
}

resource "aws_iam_instance_profile" "host" {
  name_prefix = "nss-iam-host-"
  role        = aws_iam_role.host.name
}

output "url" {
  description = "The value of url in [publish] of the publisher and in [source] of the hosts"
  value       = "s3://${aws_s3_bucket.fleet.id}/${var.listing_key}"
}

output "host_profile" {
  description = "The instance profile of hosts that have no other"
  value       = aws_iam_instance_profile.host.name
}

output "host_policy" {
  description = "The policy to attach to the roles that hosts have already"
  value       = aws_iam_policy.host.arn
}

output "publisher_policy" {
  description = "The variable publisher_policy of publisher-host and publisher-task"
  value       = aws_iam_policy.publisher.arn
}

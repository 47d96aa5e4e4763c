# The publisher of a fleet of nss-iam hosts, as a task of ECS on Fargate.

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
  description = "Subnets with a way to IAM, STS, S3, Secrets Manager, CloudWatch Logs and the registry of the image"
  type        = list(string)
}

variable "image" {
  description = "The image that was built from deploy/container/publisher"
  type        = string
}

variable "architecture" {
  description = "The processor that the image was built for: ARM64 or X86_64"
  type        = string
  default     = "ARM64"
}

variable "assign_public_ip" {
  description = "true in public subnets, where there is no other way out"
  type        = bool
  default     = false
}

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}

locals {
  # That of the secret: the attribute of aws_region has another name from version 6 of the provider on.
  region = split(":", var.key)[3]
}

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["ecs-tasks.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.current.account_id]
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

# Of the publisher itself. It cannot read the secret: ECS does, before the task starts.
resource "aws_iam_role" "task" {
  name_prefix        = "nss-iam-publisher-"
  description        = "Role of the publisher of nss-iam listings"
  assume_role_policy = data.aws_iam_policy_document.trust.json
}

resource "aws_iam_role_policy_attachment" "task" {
  role       = aws_iam_role.task.name
  policy_arn = var.publisher_policy
}

resource "aws_iam_role" "execution" {
  name_prefix        = "nss-iam-execution-"
  description        = "ECS reads the image and the key of the publisher of nss-iam listings, and writes its log"
  assume_role_policy = data.aws_iam_policy_document.trust.json
}

resource "aws_iam_role_policy_attachment" "execution" {
  role       = aws_iam_role.execution.name
  policy_arn = "arn:${data.aws_partition.current.partition}:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"
}

resource "aws_iam_role_policy" "key" {
  name   = "key"
  role   = aws_iam_role.execution.id
  policy = data.aws_iam_policy_document.key.json
}

resource "aws_cloudwatch_log_group" "publisher" {
  name_prefix       = "nss-iam-publisher-"
  retention_in_days = 90
}

resource "aws_ecs_cluster" "publisher" {
  name = "nss-iam-${replace(var.fleet, ".", "-")}"
}

resource "aws_ecs_task_definition" "publisher" {
  family                   = "nss-iam-${replace(var.fleet, ".", "-")}"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = 256
  memory                   = 512
  task_role_arn            = aws_iam_role.task.arn
  execution_role_arn       = aws_iam_role.execution.arn

  runtime_platform {
    cpu_architecture        = var.architecture
    operating_system_family = "LINUX"
  }

  volume {
    name = "run"
  }

  container_definitions = jsonencode([{
    name                   = "publisher"
    image                  = var.image
    essential              = true
    readonlyRootFilesystem = true
    linuxParameters = {
      initProcessEnabled = true
      capabilities       = { drop = ["ALL"] }
    }
    # Key and configuration, see deploy/container/publisher/start.
    mountPoints = [{ sourceVolume = "run", containerPath = "/run/publish" }]
    secrets     = [{ name = "PUBLISH_KEY", valueFrom = var.key }]
    environment = [{
      name  = "PUBLISH_CONFIG"
      value = <<-CONFIG
        groups = ${jsonencode(var.groups)}
        [aws]
        region = "${local.region}"
        [refresh]
        keys_every = "15m"
        [publish]
        url = "${var.url}"
        fleet = "${var.fleet}"
        key = "/run/publish/publish.key"
        trusted_keys = ${jsonencode(var.former_keys)}
      CONFIG
    }]
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        awslogs-group         = aws_cloudwatch_log_group.publisher.name
        awslogs-region        = local.region
        awslogs-stream-prefix = "publisher"
      }
    }
  }])
}

resource "aws_security_group" "publisher" {
  name_prefix = "nss-iam-publisher-"
  description = "The publisher of nss-iam listings, which nobody connects to"
  vpc_id      = var.vpc

  egress {
    description = "Endpoints of AWS, and the registry of the image"
    protocol    = "tcp"
    from_port   = 443
    to_port     = 443
    cidr_blocks = ["0.0.0.0/0"]
  }
}

resource "aws_ecs_service" "publisher" {
  name            = "nss-iam-publisher"
  cluster         = aws_ecs_cluster.publisher.id
  task_definition = aws_ecs_task_definition.publisher.arn
  launch_type     = "FARGATE"
  # While a task is replaced there are two, which lose no update of each other.
  desired_count = 1

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  network_configuration {
    subnets          = var.subnets
    security_groups  = [aws_security_group.publisher.id]
    assign_public_ip = var.assign_public_ip
  }
}

output "role" {
  description = "The role of the publisher, which roles in other AWS accounts have to trust"
  value       = aws_iam_role.task.arn
}

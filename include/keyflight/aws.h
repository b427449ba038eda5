/*
 * All of libkeyflight-aws: keyrings with keys in AWS KMS.
 */
#ifndef KEYFLIGHT_AWS_H
#define KEYFLIGHT_AWS_H

#include <keyflight/aws_client.h>
#include <keyflight/aws_credentials.h>
#include <keyflight/aws_kms_keyring.h>
#include <keyflight/keyflight.h>

#endif

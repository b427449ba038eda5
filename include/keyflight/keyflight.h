/*
 * Keyflight: client-side envelope encryption in the AWS Encryption SDK's message format, with a data key
 * cache that holds under concurrency. This header brings all the others; each can also be included alone.
 */
#ifndef KEYFLIGHT_KEYFLIGHT_H
#define KEYFLIGHT_KEYFLIGHT_H

#include <keyflight/caching_cmm.h>
#include <keyflight/call.h>
#include <keyflight/cmm.h>
#include <keyflight/decrypt.h>
#include <keyflight/encrypt.h>
#include <keyflight/encryption_context.h>
#include <keyflight/header.h>
#include <keyflight/jobs.h>
#include <keyflight/keyring.h>
#include <keyflight/materials.h>
#include <keyflight/raw_keyrings.h>
#include <keyflight/required_context_cmm.h>
#include <keyflight/stream.h>
#include <keyflight/suite.h>
#include <keyflight/types.h>

#endif

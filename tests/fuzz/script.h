/*
 * An input of fuzz_parcel: what strangers do to an engine, one step behind the other. A step is a
 * byte, step + 16 * end, a byte of its own, and (but TURN, PASS, LOSE, CALL, DEAF and BUNDLE) a u16
 * length and as many bytes. What is cut off ends where the input does.
 */
#ifndef WAYBILL_TESTS_FUZZ_SCRIPT_H
#define WAYBILL_TESTS_FUZZ_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum fuzz_step_kind {
    FUZZ_SAY,     /* a message as it is */
    FUZZ_REQUEST, /* one whose action and signature become those of action number `byte` */
    FUZZ_REPLY,   /* one whose call id becomes that of the last request heard */
    FUZZ_CONTROL, /* its first release id becomes the last lease heard, and its first cancel id
                     what `byte` says */
    FUZZ_HELLO,   /* connects with this hello, or answers with it */
    FUZZ_LOSE,    /* the channel is lost */
    FUZZ_LAY,     /* what READs find from here on */
    FUZZ_TURN,    /* `byte` turns */
    FUZZ_PASS,    /* 2^(byte % 32) microseconds pass */
    FUZZ_CALL,    /* the engine calls the server */
    FUZZ_DEAF,    /* takes no more messages of the engine's; or does again, where `byte` is even */
    FUZZ_BUNDLE,  /* the next `byte` % 32 messages are parcels of a bundle, which ends `byte` / 32
                     bytes early; 0: the next one is a bundle as it is. Another step ends it */
    FUZZ_STEPS
};

struct fuzz_step {
    enum fuzz_step_kind kind;
    bool of_server; /* TAPE_SERVER or TAPE_CALLER */
    uint8_t byte;
    size_t len;
    const uint8_t *bytes; /* in the input */
};

/* Takes the next step; moves *at. False: the input has ended. */
bool fuzz_step_next(const uint8_t *data, size_t size, size_t *at, struct fuzz_step *step);

/* Writes a step, whose bytes may not be in `out`; returns its bytes, or 0 where it does not fit. */
size_t fuzz_step_write(const struct fuzz_step *step, uint8_t *out, size_t room);

/* Writes a few steps that an honest peer, or nearly one, might take: up to `disturbances` of their
 * bytes are wrong. Returns the bytes written. */
size_t fuzz_script_draw(uint64_t *chance, unsigned disturbances, uint8_t *out, size_t room);

#endif

/* Arguments of any type: structs in structs, arrays, options, unions and maps, from lists of
 * fields. The receiver decodes them as views: text and numbers stay where they arrived. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <waybill/waybill.h>

#define UNIT(E) E(KELVIN, 0) E(CELSIUS, 1)
WB_ENUM(unit, UNIT)

#define SENSOR(F)                                                                                  \
    F(STRING, wb_str, name) F(TYPE, unit, unit) F(TYPE, samples, samples) F(TYPE, limit, highest)
WB_ARRAY_OF(wb_f64, samples)
WB_OPTION_OF(wb_f64, limit)
WB_STRUCT(sensor, SENSOR)
WB_ARRAY_OF(sensor, sensors)

#define VERDICT(C) C(VERDICT_MEAN, wb_f64, mean) C(VERDICT_ALARM, wb_str, alarm)
WB_UNION(verdict, VERDICT)
WB_MAP_OF(wb_str, verdict, verdicts)

/* A later program has added a field: older ones neither send it nor mind it. */
#define JUDGE_IN(F) F(TYPE, sensors, sensors) F(ADDED, wb_f64, tolerance, 0.5)
#define JUDGE_OUT(F) F(TYPE, verdicts, verdicts)
WB_ACTION(judge, JUDGE_IN, JUDGE_OUT)

enum { MOST_SENSORS = 16 };

static verdict judge_one(const sensor *s, double tolerance)
{
    double sum = 0;
    for (size_t i = 0; i < s->samples.len; i++) {
        sum += s->samples.data[i];
        if (s->highest.has && s->samples.data[i] > s->highest.value + tolerance) {
            return (verdict){.tag = VERDICT_ALARM, .as.alarm = wb_str_of("too hot")};
        }
    }
    size_t count = s->samples.len > 0 ? s->samples.len : 1;
    return (verdict){.tag = VERDICT_MEAN, .as.mean = sum / (double)count};
}

/* The results refer to the arguments' names: both stay until the reply is written. */
static int serve_judge(struct wb_context *context, struct judge_in *in, struct judge_out *out,
                       void *user)
{
    verdicts_pair *pairs = user;
    if (in->sensors.len > MOST_SENSORS) {
        return wb_context_fail(context, 1, "%zu sensors; %d at most", in->sensors.len,
                               MOST_SENSORS);
    }
    for (size_t i = 0; i < in->sensors.len; i++) {
        const sensor *s = &in->sensors.data[i];
        pairs[i] = (verdicts_pair){.key = s->name, .value = judge_one(s, in->tolerance)};
    }
    out->verdicts = (verdicts){.data = pairs, .len = in->sensors.len};
    return WB_OK;
}

static void check(int status, const char *what)
{
    if (status != WB_OK) {
        fprintf(stderr, "04_types: %s: %s (%s)\n", what, wb_status_text(status), wb_last_error());
        exit(1);
    }
}

static void serve(const char *url, int ready)
{
    static verdicts_pair pairs[MOST_SENSORS];
    struct wb_engine *engine;
    check(wb_engine_create(NULL, &engine), "server");
    check(judge_register(engine, serve_judge, pairs), "register");
    check(wb_listen(engine, url), url);
    if (write(ready, "!", 1) != 1) {
        exit(1);
    }
    for (;;) {
        wb_wait(engine, 1000000);
    }
}

/* Asks for a verdict on two sensors, one of which is short of data and one of 1000 samples. */
static bool call(struct wb_peer *peer)
{
    static double cellar[1000];
    static const double stove[] = {90.25, 101.5};
    for (size_t i = 0; i < 1000; i++) {
        cellar[i] = 280.0;
    }
    const sensor asked[] = {
        {.name = wb_str_of("cellar"), .unit = KELVIN, .samples = {cellar, 1000}},
        {.name = wb_str_of("stove"),
         .unit = CELSIUS,
         .samples = {stove, 2},
         .highest = {.has = true, .value = 100}},
    };
    const struct judge_in in = {.sensors = {asked, 2}, .tolerance = 1.0};
    struct judge_out out;
    check(judge_call(peer, &in, &out, NULL), "call");
    bool right = out.verdicts.len == 2;
    for (size_t i = 0; i < out.verdicts.len; i++) {
        const verdicts_pair *pair = &out.verdicts.data[i];
        if (pair->value.tag == VERDICT_MEAN) {
            printf("%.*s: %.1f on average\n", WB_STR_ARG(pair->key), pair->value.as.mean);
            right = right && i == 0 && pair->value.as.mean == 280.0;
        } else {
            printf("%.*s: %.*s\n", WB_STR_ARG(pair->key), WB_STR_ARG(pair->value.as.alarm));
            right = right && i == 1;
        }
    }
    judge_out_drop(&out);
    return right;
}

int main(void)
{
    char url[64], byte;
    int ready[2];
    snprintf(url, sizeof url, "shm://types.%ld", (long)getpid());
    if (pipe(ready) != 0) {
        return 1;
    }
    pid_t server = fork();
    if (server == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        serve(url, ready[1]);
    }
    close(ready[1]);
    if (server < 0 || read(ready[0], &byte, 1) != 1) {
        return 1;
    }

    struct wb_engine *engine;
    struct wb_peer *peer;
    check(wb_engine_create(NULL, &engine), "client");
    check(wb_connect(engine, url, &peer), url);
    bool right = call(peer);
    wb_peer_close(peer);
    wb_engine_destroy(engine);
    kill(server, SIGTERM);
    waitpid(server, NULL, 0);
    return right ? 0 : 1;
}

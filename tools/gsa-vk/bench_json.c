/* The record of a run: one object per measurement, each with all that identifies it. */
#include "bench.h"

#include "format.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static json_t *model_of(const bench *b)
{
    const gsa_model_info *m = &b->a->info;
    char hash[24];
    if (!b->has_model) return json_null();
    json_t *synthetic = !b->options->synthetic ? json_null()
                                               : json_pack("{s:s, s:I}", "shape", b->options->synthetic, "seed",
                                                     (json_int_t)b->options->weight_seed);
    snprintf(hash, sizeof hash, "%016llx", (unsigned long long)b->model_hash);
    return json_pack("{s:o, s:o, s:o, s:s, s:s, s:I, s:I, s:I, s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i}",
        "name", format_json_text(b->name), "description", format_json_text(m->description), "synthetic", synthetic,
        "hash", hash, "type", b->weight_type, "parameters", (json_int_t)m->n_parameters, "weight_bytes",
        (json_int_t)m->weight_bytes, "state_bytes", (json_int_t)m->state_bytes, "state_type",
        m->state_type == GSA_STATE_F16 ? "f16" : "f32", "vocabulary", (int)m->n_vocab, "layers", (int)m->n_layers, "D",
        (int)m->D, "H", (int)m->H, "G", (int)m->G, "K", (int)m->K, "V", (int)m->V, "M", (int)m->M, "F", (int)m->F,
        "max_rows", (int)b->plan.max_rows);
}

static json_t *op_of(const bench *b)
{
    const uint64_t *n = b->options->shape.at;
    if (!b->options->op) return json_null();
    return json_pack("{s:s, s:i, s:i, s:i, s:i, s:i}", "name", b->options->op, "H", (int)n[0], "G", (int)n[1], "K",
        (int)n[2], "V", (int)n[3], "M", (int)n[4]);
}

static json_t *memory_of(const bench *b)
{
    gsa_device_memory memory;
    gsa_device_memory_get(b->a->device, &memory);
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "weight_bytes", (json_int_t)b->plan.weight_bytes,
        "prompt_weight_bytes", (json_int_t)b->plan.prompt_weight_bytes, "arena_bytes", (json_int_t)b->plan.arena_bytes,
        "scratch_bytes", (json_int_t)b->plan.scratch_bytes, "device_bytes", (json_int_t)memory.device_bytes,
        "host_visible_bytes", (json_int_t)memory.host_bytes, "host_visible_peak_bytes",
        (json_int_t)memory.host_peak_bytes, "process_peak_bytes_after_load", format_json_real(b->load_peak_bytes));
}

static json_t *startup_of(const bench *b)
{
    gsa_device_startup startup;
    gsa_device_startup_get(b->a->device, &startup);
    return json_pack("{s:i, s:b, s:f, s:i, s:f}", "pipelines", (int)startup.n_pipelines, "pipeline_cache_fitted",
        startup.cache_fitted, "pipelines_ms", startup.pipelines_ms, "self_tests", (int)startup.n_self_tests,
        "self_test_ms", startup.self_test_ms);
}

static json_t *validity_of(const bench *b)
{
    return json_pack("{s:s, s:i, s:i, s:o, s:o, s:o, s:o}", "verdict", bench_verdict(b), "checks", (int)b->n_checks,
        "failed", (int)b->n_failed, "checks_ms", format_json_real(b->verify_ms), "max_error",
        b->n_checks ? format_json_real(b->max_error) : json_null(), "logit_error", format_json_real(b->logit_error),
        "logit_kl", format_json_real(b->logit_kl));
}

static json_t *ceilings_of(const bench *b)
{
    json_t *rates = json_array();
    double f16 = NAN;
    for (size_t i = 0; i < b->n_rates; i++) {
        const bench_rate *r = &b->rates[i];
        if (strcmp(r->type, "f16") == 0) f16 = r->rate.flops_per_second;
        json_array_append_new(rates, json_pack("{s:s, s:s, s:i, s:f}", "type", r->type, "kernel", r->rate.kernel,
                                         "size", (int)r->rate.size, "flops_per_second", r->rate.flops_per_second));
    }
    return json_pack("{s:o, s:o, s:o}", "read_bandwidth_bytes_per_second", format_json_real(b->bandwidth),
        "f16_matrix_flops_per_second", format_json_real(f16), "matrix_rates", rates);
}

static json_t *identity(const bench *b)
{
    return json_pack("{s:s, s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "schema", "gsa-vk-bench",
        "schema_version", 2, "program",
        json_pack("{s:s, s:s}", "version", program_version(), "commit", program_commit()), "model", model_of(b), "op",
        op_of(b), "device", format_json_device(&b->device, b->a->device), "mask",
        b->a->mask ? format_json_text(b->a->mask) : json_null(), "validity", validity_of(b), "memory", memory_of(b),
        "startup", startup_of(b), "ceilings", ceilings_of(b));
}

int bench_report_json(const bench *b, FILE *to)
{
    json_t *same = identity(b);
    int rc = 0;
    for (size_t i = 0; i < b->n_rows && rc == 0; i++) {
        const bench_row *r = &b->rows[i];
        const bench_stats s = bench_stats_of(b, r);
        json_t *line = json_pack(
            "{s:s, s:b, s:s, s:I, s:I, s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:i, s:o, s:o, s:o, s:o}", "measure",
            r->measure, "valid", bench_is_valid(b), "unit", r->unit, "tokens", (json_int_t)r->tokens, "context",
            (json_int_t)r->context, "batch", (int)(r->batch ? r->batch : 1), "median", format_json_real(s.median),
            "min", format_json_real(s.min), "max", format_json_real(s.max), "spread", format_json_real(s.spread), "p5",
            format_json_real(s.p5), "p95", format_json_real(s.p95), "n", (int)r->n, "gpu_median",
            format_json_real(s.gpu_median), "fraction_of_read_bandwidth", format_json_real(s.of_read),
            "fraction_of_matrix_rate", format_json_real(s.of_matrix), "error", format_json_real(r->error));
        json_object_update_missing(line, same);
        if (json_dumpf(line, to, JSON_REAL_PRECISION(9)) != 0 || fputc('\n', to) == EOF) rc = 1;
        json_decref(line);
    }
    json_decref(same);
    return rc ? fail("the record of the benchmark could not be written") : 0;
}

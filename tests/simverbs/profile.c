#include "tests/simverbs/profile.h"

#include <string.h>

const struct sim_profile sim_profile_mlx5 = {
    .name = "mlx5",
    .attr = {.fw_ver = "16.35.2000",
             .max_mr_size = UINT64_MAX,
             .page_size_cap = 0xfffffffffffff000,
             .vendor_id = 0x2c9,
             .max_qp = 131072,
             .max_qp_wr = 32768,
             .device_cap_flags = IBV_DEVICE_MEM_WINDOW_TYPE_2B,
             .max_sge = 30,
             .max_sge_rd = 30,
             .max_cq = 16777216,
             .max_cqe = 4194303,
             .max_mr = 16777216,
             .max_mw = 16777216,
             .max_pd = 8388608,
             .max_qp_rd_atom = 16,
             .max_qp_init_rd_atom = 16,
             .max_srq = 8388608,
             .max_srq_wr = 32767,
             .max_srq_sge = 31,
             .max_pkeys = 128,
             .phys_port_cnt = 1},
    .max_inline = 828,
    .max_message = 1U << 30,
    .on_demand = true,
    .dmabufs = true,
    .max_mtu = IBV_MTU_4096,
    .active_mtu = IBV_MTU_4096,
    .tells_last_wqe = true,
    .tells_access_error = true,
    .tells_comm_est = true,
    .cleans_cq = true,
    .flags_with_inv = true};

const struct sim_profile sim_profile_rxe = {
    .name = "rxe",
    .attr = {.max_mr_size = UINT64_MAX,
             .page_size_cap = 0xfffff000,
             .vendor_id = 0xffffff,
             .max_qp = 1048560,
             .max_qp_wr = 1048576,
             .device_cap_flags = IBV_DEVICE_MEM_WINDOW_TYPE_2B,
             .max_sge = 32,
             .max_sge_rd = 32,
             .max_cq = 1048576,
             .max_cqe = 32767,
             .max_mr = 524287,
             .max_mw = 65536,
             .max_pd = 1048576,
             .max_qp_rd_atom = 128,
             .max_qp_init_rd_atom = 128,
             .max_srq = 917503,
             .max_srq_wr = 1048576,
             .max_srq_sge = 27,
             .max_pkeys = 1,
             .phys_port_cnt = 1},
    .max_inline = 512,
    .max_message = 8U << 20,
    .max_mtu = IBV_MTU_4096,
    .active_mtu = IBV_MTU_1024,
    .retry_7_is_forever = true};

const struct sim_profile sim_profile_aries = {
    .name = "aries",
    .attr = {.max_mr_size = (uint64_t)16 << 30, /* the suite's largest vector has 5 GiB */
             .page_size_cap = 0x1000,
             .vendor_id = 0x40a6,
             .max_qp = 4096,
             .max_qp_wr = 512,
             .max_sge = 1,
             .max_sge_rd = 1,
             .max_cq = 256,
             .max_cqe = 65536,
             .max_mr = 4096,
             .max_pd = 256,
             .max_qp_rd_atom = 16,
             .max_qp_init_rd_atom = 16,
             .max_pkeys = 1,
             .phys_port_cnt = 1},
    .max_inline = 0,
    .max_message = 1U << 20,
    .read_align = 4,
    .reply_bytes = 128,
    .refusal_bytes = 128,
    .max_mtu = IBV_MTU_2048,
    .active_mtu = IBV_MTU_2048,
    .tells_access_error = true,
    .cleans_cq = true};

const struct sim_profile sim_profile_tiny = {
    .name = "tiny",
    .attr = {.max_mr_size = (uint64_t)16 << 30, /* the suite's largest vector has 5 GiB */
             .page_size_cap = 0x1000,
             .max_qp = 96, /* two ends of the suite's 41 connections */
             .max_qp_wr = 16,
             .max_sge = 1,
             .max_sge_rd = 1,
             .max_cq = 8,
             .max_cqe = 1024,
             .max_mr = 64,
             .max_pd = 8,
             .max_qp_rd_atom = 1,
             .max_qp_init_rd_atom = 1,
             .max_srq = 8,
             .max_srq_wr = 256,
             .max_srq_sge = 1,
             .max_pkeys = 1,
             .phys_port_cnt = 1},
    .max_inline = 0,
    .max_message = 4096,
    .max_mtu = IBV_MTU_256,
    .active_mtu = IBV_MTU_256,
    .tells_last_wqe = true,
    .tells_access_error = true,
    .tells_comm_est = true};

const struct sim_profile *const sim_profiles[SIM_PROFILES] = {
    &sim_profile_mlx5, &sim_profile_rxe, &sim_profile_aries, &sim_profile_tiny};

const struct sim_profile *sim_profile_named(const char *name)
{
    for (unsigned i = 0; i < SIM_PROFILES; i++) {
        if (strcmp(sim_profiles[i]->name, name) == 0) {
            return sim_profiles[i];
        }
    }
    return NULL;
}

#include "tests/simverbs/scene_window.h"

#include "tests/support/program.h"

const struct sim_profile *const window_profiles[WINDOW_PROFILES] = {&sim_profile_mlx5,
                                                                    &sim_profile_rxe};
struct ibv_mw *window;
struct ibv_mr *window_region;

static struct raw_end *const here = &raw_ends[0];
static struct raw_end *const there = &raw_ends[1];

void window_open(const struct sim_profile *profile)
{
    raw_open(&(struct raw_wish){.profile = profile});
    window_region =
        ibv_reg_mr(there->pd, there->bytes, RAW_BYTES, IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_MW_BIND);
    ck_assert_ptr_nonnull(window_region);
    window = ibv_alloc_mw(there->pd, IBV_MW_TYPE_2);
    ck_assert_ptr_nonnull(window);
}

void window_close(void)
{
    ck_assert_int_eq(window != NULL ? ibv_dealloc_mw(window) : 0, 0);
    ck_assert_int_eq(window_region != NULL ? ibv_dereg_mr(window_region) : 0, 0);
    raw_close();
}

uint64_t window_base(void)
{
    return (uintptr_t)there->bytes;
}

/* ---- what the owner does ---- */

struct ibv_send_wr window_binding(uint64_t length, unsigned access)
{
    struct ibv_send_wr wr = {.opcode = IBV_WR_BIND_MW, .send_flags = IBV_SEND_SIGNALED};
    wr.bind_mw.mw = window;
    wr.bind_mw.rkey = ibv_inc_rkey(window->rkey);
    wr.bind_mw.bind_info = (struct ibv_mw_bind_info){.mr = window_region,
                                                     .addr = window_base() + WINDOW_AT,
                                                     .length = length,
                                                     .mw_access_flags = access};
    return wr;
}

struct ibv_send_wr window_invalidation(uint32_t rkey)
{
    return (struct ibv_send_wr){
        .opcode = IBV_WR_LOCAL_INV, .send_flags = IBV_SEND_SIGNALED, .invalidate_rkey = rkey};
}

enum ibv_wc_status window_work(struct raw_end *end, struct ibv_send_wr *wr)
{
    ck_assert_int_eq(raw_post(end, wr), 0);
    return raw_await(end).status;
}

void window_bind(unsigned access)
{
    struct ibv_send_wr wr = window_binding(WINDOW_BYTES, access);
    ck_assert_int_eq(window_work(there, &wr), IBV_WC_SUCCESS);
    window->rkey = wr.bind_mw.rkey; /* is the program's part */
}

void window_invalidate(void)
{
    struct ibv_send_wr wr = window_invalidation(window->rkey);
    ck_assert_int_eq(window_work(there, &wr), IBV_WC_SUCCESS);
}

/* ---- what the peer does ---- */

struct ibv_send_wr window_reach(enum ibv_wr_opcode opcode, struct ibv_sge *sge, uint64_t address,
                                uint32_t len)
{
    struct ibv_send_wr wr = raw_work(here, opcode, sge, len);
    wr.wr.rdma.rkey = window->rkey;
    wr.wr.rdma.remote_addr = address;
    return wr;
}

enum ibv_wc_status window_read(uint64_t address, uint32_t len)
{
    struct ibv_sge sge;
    struct ibv_send_wr wr = window_reach(IBV_WR_RDMA_READ, &sge, address, len);
    return window_work(here, &wr);
}

enum ibv_wc_status window_write(uint64_t address, uint32_t len)
{
    struct ibv_sge sge;
    struct ibv_send_wr wr = window_reach(IBV_WR_RDMA_WRITE, &sge, address, len);
    return window_work(here, &wr);
}

struct ibv_send_wr window_release(struct ibv_sge *sge, uint32_t rkey)
{
    struct ibv_send_wr wr = raw_work(here, IBV_WR_SEND_WITH_INV, sge, 8);
    wr.invalidate_rkey = rkey;
    return wr;
}

void window_assert_broken(const struct raw_end *end)
{
    ck_assert_int_eq(end->qp->state, IBV_QPS_ERR);
}

void window_assert_refused(enum ibv_wc_status status)
{
    ck_assert_int_eq(status, IBV_WC_REM_ACCESS_ERR);
    window_assert_broken(here);
    window_assert_broken(there);
}

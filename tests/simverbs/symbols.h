/* What programs reach inline, through their contexts. These take the lock themselves. */
#ifndef WAYBILL_TESTS_SIMVERBS_SYMBOLS_H
#define WAYBILL_TESTS_SIMVERBS_SYMBOLS_H

#include <infiniband/verbs.h>

int sim_symbol_query_port(struct ibv_context *context, uint8_t number, struct ibv_port_attr *attr,
                          size_t size);
int sim_symbol_query_device_ex(struct ibv_context *context,
                               const struct ibv_query_device_ex_input *input,
                               struct ibv_device_attr_ex *attr, size_t size);
int sim_symbol_poll_cq(struct ibv_cq *cq, int most, struct ibv_wc *wcs);
int sim_symbol_req_notify_cq(struct ibv_cq *cq, int solicited_only);
int sim_symbol_post_srq_recv(struct ibv_srq *srq, struct ibv_recv_wr *wr, struct ibv_recv_wr **bad);
int sim_symbol_post_send(struct ibv_qp *qp, struct ibv_send_wr *wr, struct ibv_send_wr **bad);
int sim_symbol_post_recv(struct ibv_qp *qp, struct ibv_recv_wr *wr, struct ibv_recv_wr **bad);
struct ibv_mw *sim_symbol_alloc_mw(struct ibv_pd *pd, enum ibv_mw_type type);
int sim_symbol_dealloc_mw(struct ibv_mw *mw);
int sim_symbol_bind_mw(struct ibv_qp *qp, struct ibv_mw *mw, struct ibv_mw_bind *bind);

#endif

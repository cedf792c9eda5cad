/* RDMA devices of this machine, as the kernel shows them in files. */
#ifndef WAYBILL_TESTS_SUPPORT_RDMA_H
#define WAYBILL_TESTS_SUPPORT_RDMA_H

/* The name, and the IPv4 address, of device number `number`, of those that have one in the order of
 * their names. Ends the program with a sentence where there is none. Static storage. */
const char *test_rdma_device(unsigned number);
const char *test_rdma_address(unsigned number);

#endif

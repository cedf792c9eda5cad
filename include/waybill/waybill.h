/* All of Waybill's public API. */
#ifndef WAYBILL_WAYBILL_H
#define WAYBILL_WAYBILL_H

#include <waybill/action.h>
#include <waybill/call.h>
#include <waybill/engine.h>
#include <waybill/explain.h>
#include <waybill/memory.h>
#include <waybill/peer.h>
#include <waybill/pin.h>
#include <waybill/print.h>
#include <waybill/serial.h>
#include <waybill/status.h>
#include <waybill/stream.h>
#include <waybill/version.h>
#include <waybill/watch.h>

#endif

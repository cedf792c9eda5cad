/* The free parcels of a lane. */
#include <stdlib.h>

#include "engine/parcel.h"

void wbi_parcels_open(struct wbi_parcels *parcels, uint32_t message_bytes, uint32_t limit)
{
    *parcels = (struct wbi_parcels){.limit = limit, .message_bytes = message_bytes};
    pthread_mutex_init(&parcels->lock, NULL);
}

void wbi_parcels_close(struct wbi_parcels *parcels)
{
    if (parcels->message_bytes == 0) {
        return;
    }
    while (parcels->free != NULL) {
        struct wbi_parcel *next = parcels->free->next;
        free(parcels->free);
        parcels->free = next;
    }
    pthread_mutex_destroy(&parcels->lock);
    parcels->message_bytes = 0;
}

struct wbi_parcel *wbi_parcel_take(struct wbi_parcels *parcels, bool limited)
{
    pthread_mutex_lock(&parcels->lock);
    struct wbi_parcel *parcel = parcels->free;
    bool make = parcel == NULL && (!limited || parcels->made < parcels->limit);
    if (parcel != NULL) {
        parcels->free = parcel->next;
    }
    parcels->made += make;
    pthread_mutex_unlock(&parcels->lock);
    if (make) {
        parcel = malloc(sizeof *parcel + parcels->message_bytes);
        if (parcel == NULL) {
            pthread_mutex_lock(&parcels->lock);
            parcels->made--;
            pthread_mutex_unlock(&parcels->lock);
        }
    }
    return parcel;
}

void wbi_parcel_give(struct wbi_parcels *parcels, struct wbi_parcel *parcel)
{
    pthread_mutex_lock(&parcels->lock);
    parcel->next = parcels->free;
    parcels->free = parcel;
    pthread_mutex_unlock(&parcels->lock);
}

bool wbi_parcels_left(struct wbi_parcels *parcels)
{
    pthread_mutex_lock(&parcels->lock);
    bool left = parcels->free != NULL || parcels->made < parcels->limit;
    pthread_mutex_unlock(&parcels->lock);
    return left;
}

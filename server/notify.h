/*
 * notify.h - tells systemd how the service is: the protocol of sd_notify, one datagram each.
 *
 * Nothing happens when the process was not started by it (NOTIFY_SOCKET is not set).
 */
#ifndef SERVER_NOTIFY_H
#define SERVER_NOTIFY_H

#include <stdint.h>

/* Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID and removes them from the environment, before
 * there are threads. */
void notify_init(void);
/* "READY=1", "STOPPING=1", "RELOADING=1"; several are separated by newlines. Never waits. */
void notify_send(const char *state);
/* How often "WATCHDOG=1" is to be sent, half of what systemd allows, in microseconds; 0 = never. */
int64_t notify_watchdog_us(void);

#endif

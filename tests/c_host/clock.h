/* The wall clock that the process sees, the plugin in it included: expiry without waiting. */
#ifndef CLOCK_H
#define CLOCK_H

/* Sets the wall clock so many seconds ahead of the machine's; 0 is the machine's own. */
void clock_set_ahead(long seconds);

#endif

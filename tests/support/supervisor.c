/* A test that starts programs is started again as their supervisor, before its framework looks at
 * its arguments. Linked as an object, since nobody calls it. */
#include "connectors/singer/supervise.h"

__attribute__((constructor)) static void become_supervisor(int argc, char **argv)
{
    supervise_if_asked(argc, argv);
}

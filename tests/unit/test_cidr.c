#include <criterion/criterion.h>

#include <string.h>

#include "server/http/cidr.h"

static bool holds(const char *range, const char *address)
{
    struct cidr r, a;

    cr_assert(cidr_parse(range, strlen(range), &r), "%s", range);
    cr_assert(cidr_parse(address, strlen(address), &a), "%s", address);
    return cidr_holds(&r, &a);
}

Test(cidr, holds_what_is_in_it)
{
    cr_assert(holds("10.0.0.0/8", "10.255.0.1"));
    cr_assert_not(holds("10.0.0.0/8", "11.0.0.1"));
    cr_assert(holds("10.1.2.128/25", "10.1.2.129"));
    cr_assert_not(holds("10.1.2.128/25", "10.1.2.127"));
    cr_assert(holds("0.0.0.0/0", "255.1.2.3"));
    cr_assert_not(holds("0.0.0.0/0", "2001:db8::1"));
    cr_assert(holds("::/0", "1.2.3.4"));
    cr_assert(holds("192.0.2.1", "192.0.2.1"));
    cr_assert_not(holds("192.0.2.1", "192.0.2.2"));
    cr_assert(holds("192.0.2.1", "::ffff:192.0.2.1"));
    cr_assert(holds("2001:db8::/33", "2001:db8:7fff::1"));
    cr_assert_not(holds("2001:db8::/33", "2001:db8:8000::1"));
}

Test(cidr, is_an_address_and_bits_and_nothing_else)
{
    static const char *const bad[] = {"",
                                      "x",
                                      "10.0.0.0/33",
                                      "10.0.0.0/-1",
                                      "10.0.0.0/",
                                      "10.0.0/8",
                                      "::/129",
                                      "::1/x",
                                      "10.0.0.1 ",
                                      "/8",
                                      "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000"};
    struct cidr out;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_not(cidr_parse(bad[i], strlen(bad[i]), &out), "%s", bad[i]);
}

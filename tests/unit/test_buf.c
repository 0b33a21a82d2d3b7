#include <criterion/criterion.h>

#include <stdint.h>

#include "connectors/base/buf.h"

Test(buf, is_empty_text_before_the_first_append)
{
    struct buf b = BUF_INIT(10);

    cr_assert_str_eq(buf_str(&b), "");
    buf_release(&b);
}

Test(buf, holds_exactly_its_limit)
{
    struct error err = ERROR_INIT;
    struct buf b = BUF_INIT(10);

    buf_puts(&b, "123456789"); /* n - 1 */
    cr_assert_eq(buf_ok(&b, "text", &err), 0);
    buf_putc(&b, '0'); /* n */
    cr_assert_eq(buf_ok(&b, "text", &err), 0);
    cr_assert_str_eq(buf_str(&b), "1234567890");
    buf_putc(&b, 'x'); /* n + 1 */
    cr_assert_eq(buf_ok(&b, "text", &err), -1);
    cr_assert_eq(err.code, ERR_TOO_LARGE);
    cr_assert_str_eq(err.message, "text exceeds 10 bytes");
    cr_assert_str_eq(buf_str(&b), "1234567890");
    buf_release(&b);
}

Test(buf, ignores_appends_after_a_failure_until_it_is_cleared)
{
    struct error err = ERROR_INIT;
    struct buf b = BUF_INIT(3);

    buf_puts(&b, "ab");
    buf_puts(&b, "cde");
    buf_putc(&b, 'c');
    buf_printf(&b, "%d", 1);
    cr_assert_null(buf_reserve(&b, 0));
    cr_assert_str_eq(buf_str(&b), "ab");
    buf_clear(&b);
    cr_assert_str_eq(buf_str(&b), "");
    buf_puts(&b, "xyz");
    cr_assert_eq(buf_ok(&b, "text", &err), 0);
    cr_assert_str_eq(buf_str(&b), "xyz");
    buf_release(&b);
}

Test(buf, refuses_to_reserve_beyond_the_limit)
{
    struct buf b = BUF_INIT(100);

    cr_assert_not_null(buf_reserve(&b, 100));
    cr_assert_null(buf_reserve(&b, 101));
    cr_assert(b.failed);
    buf_clear(&b);
    cr_assert_null(buf_reserve(&b, SIZE_MAX));
    buf_release(&b);
}

Test(buf, keeps_zero_bytes)
{
    struct buf b = BUF_INIT(100);

    buf_put(&b, "a\0b", 3);
    buf_put(&b, "", 0);
    cr_assert_eq(b.len, 3);
    cr_assert_eq(memcmp(b.data, "a\0b", 4), 0);
    buf_release(&b);
}

Test(buf, grows_and_formats)
{
    struct buf b = BUF_INIT(1 << 20);

    for (int i = 0; i < 10000; i++)
        buf_printf(&b, "%04d,", i);
    cr_assert_eq(b.len, 50000);
    cr_assert_eq(memcmp(b.data + 49995, "9999,", 6), 0);
    buf_release(&b);
    cr_assert_eq(b.max_bytes, 1 << 20, "it stays usable after its release");
}

Test(buf, works_without_a_limit)
{
    struct buf b = BUF_INIT(SIZE_MAX);

    buf_puts(&b, "abc");
    cr_assert_str_eq(buf_str(&b), "abc");
    buf_release(&b);
}

/*
 * snake.h - names in small ASCII letters, digits and '_', as people type them without quotes.
 */
#ifndef CONNECTORS_BASE_SNAKE_H
#define CONNECTORS_BASE_SNAKE_H

struct arena;

/*
 * "Größe (cm)" gives "grosse_cm_": Latin letters lose their accents and become small, every run of
 * what is neither a Latin letter nor a digit becomes one '_', and a name that would begin with a
 * digit begins with one. "" when no letter or digit is left. `name` is UTF-8.
 */
const char *snake_name(struct arena *mem, const char *name);

#endif

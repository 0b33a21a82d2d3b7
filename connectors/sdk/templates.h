/*
 * templates.h - the files of the projects that `connectord new` writes; generated from new/.
 *
 * Every "my_connector" in a path or a text is the name of the new connector.
 */
#ifndef CONNECTORS_SDK_TEMPLATES_H
#define CONNECTORS_SDK_TEMPLATES_H

struct template_file {
    const char *kind; /* "source" or "destination" */
    const char *path;
    const char *text;
};

extern const struct template_file template_files[]; /* ends with a kind of NULL */

#endif

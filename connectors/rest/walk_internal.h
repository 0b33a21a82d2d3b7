/*
 * walk_internal.h - walks from inside: walk.c goes through slices and windows, walk_pages.c through
 * the pages of one, and walk_children.c through parents.
 */
#ifndef CONNECTORS_REST_WALK_INTERNAL_H
#define CONNECTORS_REST_WALK_INTERNAL_H

#include "connectors/rest/walk.h"

/* Where a walk begins. */
enum walk_begin {
    WALK_NEW,
    WALK_IN_WINDOW,    /* the window is known, and the pager stands where it stands */
    WALK_BEHIND_WINDOW /* the next window is to be read */
};

/* Everything that a request can be made from. */
void walk_scopes(struct walk *w, struct arena *mem);
/* The next sequence of pages is one of its own; all of it, from where the pager stands. */
void walk_new_sequence(struct walk *w);
CHECKED int walk_pages(struct walk *w, struct error *err);
/* walk_slices.c: which slices there are; before anything is read. */
CHECKED int walk_find_slices(struct walk *w, struct error *err);
/* The increment as it is for the slice that is to be read. */
void walk_begin_slice(struct walk *w);
CHECKED int walk_slices(struct walk *w, enum walk_begin begin, struct error *err);
/* The stream of `w`, once for each of its parents. */
CHECKED int walk_children(struct walk *w, struct error *err);
/* Sets the parents of `w`: read now, if nobody has. */
CHECKED int family_parents(struct walk *w, struct error *err);

#endif

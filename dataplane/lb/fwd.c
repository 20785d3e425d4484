/* SPDX-License-Identifier: BSD-3-Clause */
/* fwd — the table of forwarding modes, and what they share; see fwd.h. */
#include "lb/fwd.h"

#include "lb/fwd_cookie.h"
#include "lb/fwd_edit.h"
#include "lb/fwd_l2.h"
#include "lb/fwd_nat.h"
#include "lb/fwd_tunnel.h"

const struct fwd_ops *const fwd_modes[FWD_N] = {
	[MR_MODE_FULLNAT] = &fwd_nat_full_ops,
	[MR_MODE_DSR_L2] = &fwd_l2_ops,
	[MR_MODE_IPIP] = &fwd_tunnel_ipip_ops,
	[MR_MODE_GUE] = &fwd_tunnel_gue_ops,
	[MR_MODE_DNAT] = &fwd_nat_dest_ops,
	[FWD_FULLNAT_EDIT] = &fwd_edit_full_ops,
	[FWD_DNAT_EDIT] = &fwd_edit_dest_ops,
	[FWD_FULLNAT_COOKIE] = &fwd_cookie_full_ops,
	[FWD_DNAT_COOKIE] = &fwd_cookie_dest_ops,
};

#define COUNT_MODE(sym, value, name) +1
_Static_assert(FWD_N_MODES == 0 MR_MODES(COUNT_MODE) && FWD_N_MODES == MR_MODE_CACHE,
	"every mode has its operations, but for the last one, which forwards nothing");

void fwd_hold(const struct fwd_env *env, struct pkt *p, uint32_t ref, const uint8_t next_hop[16])
{
	struct pkt_note *note = pkt_note(env->b->m[p - env->b->p]);

	p->verdict = PKT_HOLD;
	p->neigh_ref = ref;
	note->kind = NOTE_HOLD;
	note->iface = p->out_iface;
	note->family = p->family;
	note->neigh_ref = ref;
	if (ref == NEIGH_NONE)
		memcpy(note->next_hop, next_hop, sizeof(note->next_hop));
}

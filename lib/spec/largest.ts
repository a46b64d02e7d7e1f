/** uid_t and gid_t's last value, 2^32-1, means "leave as it is" to the kernel: it is nobody's id. */
export const MAX_ID = 0xffff_fffe;
export const MAX_UINT32 = 0xffff_ffff;
export const MAX_UINT64 = 0xffff_ffff_ffff_ffffn;

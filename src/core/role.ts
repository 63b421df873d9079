/** What a node may be: one that takes deliveries and answers questions, one that works jobs, or both. */
export const ROLES = ['all', 'intake', 'worker'] as const
export type Role = (typeof ROLES)[number]

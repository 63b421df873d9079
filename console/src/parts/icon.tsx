// Drawn on a grid of 16, with one stroke: they sit beside text and say nothing that it does not.
const PATHS = {
  tickets: 'M2 5h12v2a1 1 0 0 0 0 2v2H2V9a1 1 0 0 0 0-2zM9.5 5v6',
  deliveries: 'M2 4h8M2 8h12M2 12h6M11 10l2 2 2-2',
  articles: 'M3.500 2h9v12h-9zM6 5h4M6 8h4M6 11h2',
  sources: 'M5 2v4M11 2v4M3.5 6h9v2a4.5 4.5 0 0 1-9 0zM8 12.5V15',
  insights: 'M2 14V2M2 14h12M5 11V8M8.500 11V4M12 11V6.500',
  settings:
    'M2 4.500h6M12 4.500h2M2 11.500h2M8 11.500h6M8 4.500a2 2 0 1 0 4 0 2 2 0 0 0-4 0M4 11.500a2 2 0 1 0 4 0 2 2 0 0 0-4 0',
  search: 'M7 2.500a4.500 4.500 0 1 0 0 9 4.500 4.500 0 0 0 0-9M10.500 10.500 14 14',
  close: 'M4 4l8 8M12 4l-8 8',
  check: 'M3 8.500l3.500 3.500L13 4.500',
  copy: 'M6 6V2.500h7.500V10H10M2.500 6H10v7.500H2.500z',
  sun: 'M8 5.500a2.500 2.500 0 1 0 0 5 2.500 2.500 0 0 0 0-5M8 1.500v1.500M8 13v1.500M1.500 8H3M13 8h1.500M3.500 3.500l1 1M11.500 11.500l1 1M12.500 3.500l-1 1M4.500 11.500l-1 1',
  moon: 'M13 9.500A5.500 5.500 0 1 1 6.500 3 4.500 4.500 0 0 0 13 9.500z',
  screen: 'M2 3h12v8H2zM6 14h4M8 11v3',
  back: 'M9.500 3.500 5 8l4.500 4.500',
  down: 'M4 6l4 4 4-4',
  link: 'M6.500 9.500l3-3M7 4.500 8.500 3A3 3 0 0 1 13 7.500L11.500 9M9 11.500 7.500 13A3 3 0 0 1 3 8.500L4.500 7',
  more: 'M3.500 8h.01M8 8h.01M12.500 8h.01',
  warn: 'M8 2 14.500 13.500h-13zM8 6.500v3M8 11.500v.01',
  send: 'M2 8l12-5.500L9.500 14l-2-4.500zM7.500 9.500 14 2.500',
  inbox: 'M2 9.500 4 3h8l2 6.500V13H2zM2 9.500h3.500l1 1.500h3l1-1.500H14',
  spark: 'M8 2l1.500 4.500L14 8l-4.500 1.500L8 14l-1.500-4.500L2 8l4.500-1.500z',
  out: 'M9 3h4v4M13 3 7.500 8.500M11 9.500V13H3V5h3.500',
  keyboard: 'M1.500 4h13v8h-13zM4 6.500h.01M6.500 6.500h.01M9 6.500h.01M11.500 6.500h.01M5 9.500h6',
  save: 'M4 2.500h8v11L8 10.500l-4 3z',
} as const

export type IconName = keyof typeof PATHS

export function Icon({ name, className = 'size-4' }: { name: IconName; className?: string }) {
  return (
    <svg viewBox="0 0 16 16" aria-hidden="true" className={`shrink-0 fill-none stroke-current ${className}`}>
      <path d={PATHS[name]} strokeWidth="1.4" strokeLinecap="round" strokeLinejoin="round" />
    </svg>
  )
}

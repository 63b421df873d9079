import { useSyncExternalStore } from 'react'

/** Whether a media query holds, now and when it changes. */
export function useMedia(media: string): boolean {
  const list = matchMedia(media)
  return useSyncExternalStore(
    (tell) => {
      list.addEventListener('change', tell)
      return () => list.removeEventListener('change', tell)
    },
    () => list.matches,
  )
}

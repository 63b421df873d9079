import { useState } from 'react'

import { Button } from './button.tsx'
import { Icon } from './icon.tsx'

const KEY = 'ticketflow.theme'
const NEXT = { system: 'light', light: 'dark', dark: 'system' } as const
const LABELS = { system: 'as the system', light: 'light', dark: 'dark' } as const
const ICONS = { system: 'screen', light: 'sun', dark: 'moon' } as const
type Theme = keyof typeof NEXT

const current = (): Theme => (document.documentElement.dataset['theme'] as Theme | undefined) ?? 'system'

/** System, light, dark, and round again; public/theme.js reads the choice before the first paint. */
export function ThemeButton() {
  const [theme, setTheme] = useState(current)
  const choose = () => {
    const next = NEXT[theme]
    setTheme(next)
    if (next === 'system') delete document.documentElement.dataset['theme']
    else document.documentElement.dataset['theme'] = next
    try {
      localStorage.setItem(KEY, next)
    } catch {
      // Storage may be forbidden: the choice lasts as long as the page.
    }
  }
  const label = `Theme: ${LABELS[theme]}. Change to ${LABELS[NEXT[theme]]}`
  return (
    <Button look="quiet" size="icon" onClick={choose} aria-label={label} title={label}>
      <Icon name={ICONS[theme]} />
    </Button>
  )
}

import { Content, Item, Root, Trigger } from '@radix-ui/react-dropdown-menu'
import type { ReactNode } from 'react'

/**
 * A button with a menu. Not modal: that would style the page inline, which the policy forbids. Not in a portal: it belongs to
 * the landmark that its button is in.
 */
export function Menu({ trigger, children }: { trigger: ReactNode; children: ReactNode }) {
  return (
    <Root modal={false}>
      <Trigger asChild>{trigger}</Trigger>
      <Content
        align="start"
        sideOffset={4}
        collisionPadding={8}
        className="z-40 max-h-80 min-w-40 overflow-auto rounded-lg border border-line bg-pane p-1 text-sm shadow-pop"
      >
        {children}
      </Content>
    </Root>
  )
}

export function MenuItem({ onSelect, children }: { onSelect: () => void; children: ReactNode }) {
  return (
    <Item
      onSelect={onSelect}
      className="flex h-8 cursor-pointer items-center gap-2 rounded px-2 outline-none select-none data-highlighted:bg-raised"
    >
      {children}
    </Item>
  )
}

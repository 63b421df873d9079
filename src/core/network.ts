import ipaddr from 'ipaddr.js'

type Range = readonly [address: ipaddr.IPv4 | ipaddr.IPv6, bits: number]

/** An address, or a network such as 10.0.0.0/8 or 2001:db8::/32. */
export const isNetwork = (text: string): boolean => ipaddr.isValid(text) || ipaddr.isValidCIDR(text)

/** Whether an address is in one of these networks. An IPv4 address that is written as IPv6 counts as what it is. */
export function networkMatcher(networks: readonly string[]): (address: string) => boolean {
  const ranges = networks.map(rangeOf)
  return (address) => {
    if (!ipaddr.isValid(address)) return false
    const one = ipaddr.process(address)
    return ranges.some(([network, bits]) => one.kind() === network.kind() && one.match(network, bits))
  }
}

function rangeOf(network: string): Range {
  if (ipaddr.isValidCIDR(network)) return ipaddr.parseCIDR(network)
  const address = ipaddr.process(network)
  return [address, address.kind() === 'ipv4' ? 32 : 128]
}

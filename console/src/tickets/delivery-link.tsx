import { Link } from '@tanstack/react-router'

/** To a delivery as it came. */
export const DeliveryLink = ({ id }: { id: number }) => (
  <Link
    to="/deliveries/$deliveryId"
    params={{ deliveryId: String(id) }}
    className="text-accent underline underline-offset-2 hover:text-accent-strong"
  >
    delivery {id}
  </Link>
)

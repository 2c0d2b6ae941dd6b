"""What the scene and its tests call by name."""

from google.protobuf.timestamp_pb2 import Timestamp

RAILWAY = "taxpayers/91110000AYTLHUJ0ET"
SCHOOL = "taxpayers/91310115X12J2H3L4B"
SHOP = "taxpayers/91440300MA5DKX7P2Q"
DEVICE = f"{RAILWAY}/devices/661234567890"
LOW = "alerts/7"
REJECTED = "alerts/8"
INVOICE = f"{RAILWAY}/invoices/011002600111-00000042"
QR_TEXT = "01,10,011002600111,00000042,113.00,20260131,12345678901234567890,AB12"
REQUEST_ID = "RAI00700000000000042"
MINUTE_S = 60
HOUR_S = 3600
DAY_S = 86_400
YUAN = 100


def at(seconds: float) -> Timestamp:
    """A timestamp of unix seconds."""
    return Timestamp(seconds=int(seconds))

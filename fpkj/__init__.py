"""Codec of the authority's issue interface (FPKJ): GBK XML on one side, our messages on the other."""

from fpkj.errors import FpkjError as FpkjError
from fpkj.reply import reply as reply
from fpkj.request import read as read
from fpkj.request import write as write

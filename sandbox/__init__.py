"""A whole system on one machine: token, simulator, gateway, sample taxpayers.

``make demo`` and ``make serve`` run it, ``make bench`` measures it. Like every client it knows the
contract and the command lines of the processes it starts, and nothing of their insides.
"""

"""What follows when a backend breaks off after the first content, as docs/resilience.md tells.

``sent`` knows what the caller has, ``echo`` and ``seam`` let a second answer on only where it repeats the
first, ``conditions`` says where which way may be gone. All of it is pure; ``portico_core.mending`` drives it.
"""

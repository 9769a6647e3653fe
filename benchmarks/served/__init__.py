"""What benchmarks of servers share: servers in processes of their own, and clients that cost little."""

from served.client import Load, run_load, run_streams
from served.processes import FASTAPI, Served, textrnn_serve

__all__ = ["FASTAPI", "Load", "Served", "run_load", "run_streams", "textrnn_serve"]

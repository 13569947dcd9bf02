"""python -m torchport"""

from torchport.cli import app

app(prog_name="torchport")

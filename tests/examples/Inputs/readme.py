"""readme.py README MODEL: is the model file, to the letter, a block of the README?"""
import re
import sys

with open(sys.argv[1]) as readme, open(sys.argv[2]) as model:
    blocks, text = re.split(r"^```.*\n", readme.read(), flags=re.M), model.read()
if text not in blocks:
    sys.exit(f"{sys.argv[1]} does not show {sys.argv[2]} as it is")

import sys

try:
    from tests.tools.site.build import main
except ModuleNotFoundError as error:
    sys.exit(f'{error}. The site needs more than the course: python -m pip install -e ".[site]"')

sys.exit(main())

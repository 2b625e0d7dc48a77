import sys

from exercises.grading.command import main

sys.exit(main())

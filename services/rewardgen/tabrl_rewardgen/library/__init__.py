"""The built-in library.

Turns a prompt into reward source for a known robot, without any LLM, and says what it left out.
"""

from tabrl_rewardgen.library.approaches import approach
from tabrl_rewardgen.library.likeness import SAME, likeness
from tabrl_rewardgen.library.writing import BehaviourUnknown, LibraryReward, write

__all__ = ["SAME", "BehaviourUnknown", "LibraryReward", "approach", "likeness", "write"]

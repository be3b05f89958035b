import io

import pytest
from tabrl_simulation.environments import CATEGORY

from tabrl_scene.descriptions import descriptions, picture


def test_every_environment_is_described_and_no_other() -> None:
    assert list(descriptions()) == sorted(CATEGORY)


@pytest.mark.parametrize("environment_id", CATEGORY)
def test_a_description_fits_a_card(environment_id: str) -> None:
    description = descriptions()[environment_id]
    assert description.title.startswith(f"{description.robot} · ")
    assert len(description.title) <= 40
    assert description.sentence.endswith(".")
    assert len(description.sentence) <= 140
    assert 3 <= len(set(description.prompts)) == len(description.prompts) <= 5
    assert all(4 <= len(prompt) <= 80 for prompt in description.prompts)


@pytest.mark.parametrize("environment_id", CATEGORY)
def test_a_thumbnail_is_a_small_webp_of_the_promised_size(environment_id: str) -> None:
    from PIL import Image

    content = picture(environment_id)
    with Image.open(io.BytesIO(content)) as image:
        assert (image.format, image.size) == ("WEBP", (480, 360))
    assert len(content) <= 12_000


def test_titles_tell_environments_apart() -> None:
    titles = [description.title for description in descriptions().values()]
    assert len(set(titles)) == len(titles)

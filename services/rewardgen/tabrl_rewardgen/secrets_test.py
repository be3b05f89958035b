"""Keys are read from a file that is one's own, and hidden wherever words go."""

import pytest

from tabrl_rewardgen.secrets import SecretsRefused, key_for, read_secrets, redacted


def _file(tmp_path, text, mode=0o600):
    path = tmp_path / "keys"
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def test_a_file_of_ones_own_is_read(tmp_path):
    path = _file(tmp_path, "# mine\n\nOPENAI_API_KEY=sk-12345678\nexport ANTHROPIC_API_KEY='ant-12345678'\n")
    secrets = read_secrets(path)
    assert key_for("openai", secrets) == "sk-12345678"
    assert key_for("anthropic", secrets) == "ant-12345678"
    assert key_for("gemini", secrets) is None
    assert read_secrets("") == {}


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_file_that_others_may_read_is_refused(tmp_path, mode):
    with pytest.raises(SecretsRefused, match="chmod 600"):
        read_secrets(_file(tmp_path, "OPENAI_API_KEY=sk-12345678\n", mode))


@pytest.mark.parametrize("line", ["sk-12345678", "openai=sk-12345678", "OPENAI_API_KEY=", "=sk-12345678"])
def test_a_refusal_names_the_line_and_never_what_stands_in_it(tmp_path, line):
    with pytest.raises(SecretsRefused, match="line 2") as refused:
        read_secrets(_file(tmp_path, f"A_KEY=x\n{line}\n"))
    assert "sk-12345678" not in str(refused.value)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(SecretsRefused, match="cannot be read"):
        read_secrets(str(tmp_path / "none"))


def test_keys_are_hidden_in_words(monkeypatch):
    monkeypatch.setenv("MISTRAL_API_KEY", "from-the-environment")
    said = redacted("refused sk-12345678 and from-the-environment, not short", ["sk-12345678", "short"])
    assert said == "refused [key] and [key], not short"

"""Chat templates that take tools, in the shape of those of well-known models."""

QWEN = """\
{%- if tools %}{{ '<|im_start|>system\\n' }}\
{%- if messages[0]['role'] == 'system' %}{{ messages[0]['content'] + '\\n\\n' }}{% endif %}\
{{ '# Tools\\n<tools>' }}{% for tool in tools %}{{ '\\n' }}{{ tool | tojson }}{% endfor %}\
{{ '\\n</tools><|im_end|>\\n' }}{%- elif messages[0]['role'] == 'system' %}\
{{ '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}{%- endif %}\
{%- for message in messages %}\
{%- if message.role == 'user' or (message.role == 'assistant' and not message.tool_calls) %}\
{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}\
{%- elif message.role == 'assistant' %}{{ '<|im_start|>' + message.role }}\
{%- if message.content %}{{ '\\n' + message.content }}{% endif %}\
{%- for tool_call in message.tool_calls %}\
{%- if tool_call.function is defined %}{% set tool_call = tool_call.function %}{% endif %}\
{{ '\\n<tool_call>\\n{"name": "' }}{{ tool_call.name }}{{ '", "arguments": ' }}\
{{ tool_call.arguments | tojson }}{{ '}\\n</tool_call>' }}{%- endfor %}{{ '<|im_end|>\\n' }}\
{%- elif message.role == 'tool' %}\
{{ '<|im_start|>user\\n<tool_response>\\n' + message.content + '\\n</tool_response><|im_end|>\\n' }}\
{%- endif %}{%- endfor %}\
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}\
{%- if enable_thinking is defined and not enable_thinking %}{{ '<think>\\n\\n</think>\\n\\n' }}{% endif %}\
{%- endif %}"""
"""As Qwen 2.5 and 3."""

LLAMA = """\
{%- for message in messages %}\
{%- if not (message.role == 'tool' or 'tool_calls' in message) %}\
{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' }}\
{%- if loop.first and tools %}{{ 'Functions:\\n' }}{% for t in tools %}{{ t | tojson(indent=4) }}{% endfor %}\
{{ '\\n\\n' }}{% endif %}{{ message['content'] + '<|eot_id|>' }}\
{%- elif 'tool_calls' in message %}\
{%- if not message.tool_calls | length == 1 %}{{ raise_exception('only one call at once') }}{% endif %}\
{%- set tool_call = message.tool_calls[0].function %}\
{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{{ '{"name": "' + tool_call.name + '", ' }}\
{{ '"parameters": ' }}{{ tool_call.arguments | tojson }}{{ '}' }}{{ '<|eot_id|>' }}\
{%- else %}{{ '<|start_header_id|>ipython<|end_header_id|>\\n\\n' }}\
{{ message.content | tojson }}{{ '<|eot_id|>' }}{%- endif %}{%- endfor %}\
{%- if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}"""
"""As Llama 3."""

CODER = """\
{%- for t in tools or [] %}{{ t.function.name }};{% endfor %}\
{%- for message in messages %}<{{ message.role }}>{{ message.content }}\
{%- for call in message.tool_calls or [] %}<function={{ call.function.name }}>\
{%- for key, value in call.function.arguments.items() %}<{{ key }}={{ value }}>{% endfor %}\
{%- endfor %}{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"""
"""Calls without JSON, as Qwen's coder writes them."""

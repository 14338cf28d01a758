-- For wrk: one person after another, at random. Environment: KHS_TOKEN, KHS_INSURER, KHS_PEOPLE (numbers 1 to N).
local insurer, people = os.getenv("KHS_INSURER"), tonumber(os.getenv("KHS_PEOPLE"))

wrk.method = "POST"
wrk.path = "/khs-api/json"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = os.getenv("KHS_TOKEN")
wrk.headers["care_insure_provider_number"] = insurer

local body = '{"care_insure_provider_number":"' .. insurer .. '","care_insurer_number":"%010d"}'

function request()
    return wrk.format(nil, nil, nil, string.format(body, math.random(people)))
end

export default function handler(request, response) { response.status(201).end(); }
